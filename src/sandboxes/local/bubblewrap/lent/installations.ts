import { basename, dirname, join } from "node:path";
import { isWithin } from "../../../../config/host-paths.ts";
import { has, isOpenToAll, names, statOf } from "./host-files.ts";
import { isOwnTree } from "./private-places.ts";

/*
 * Folders that a program's own installer made, recognised by the files it leaves. Only of these is more lent than the
 * program's file, and only the parts named here. Anything else beside a program could be the user's data.
 */

export interface Installation {
  readonly prefix: string;
  readonly kind: string;
  /** Existing parts, relative to the prefix. */
  readonly parts: readonly string[];
  /** Variables by which its programs find it, because the home inside is a different one. */
  readonly env: Readonly<Record<string, string>>;
}

interface Kind {
  readonly kind: string;
  readonly marks: (prefix: string) => boolean;
  readonly parts: readonly string[];
  /** Its installer clones it with git, so `.git` does not mean that the user works in it. */
  readonly isClone?: boolean;
  readonly env?: (prefix: string) => Record<string, string>;
}

const PLAIN = ["bin", "sbin", "lib", "lib64", "libexec", "include", "share"];
const hasIn = (folder: string, pattern: RegExp) => names(folder).some((name) => pattern.test(name));

const KINDS: readonly Kind[] = [
  {
    kind: "Python environment",
    marks: (prefix) => has(prefix, "pyvenv.cfg", "bin"),
    parts: ["bin", "lib", "lib64", "include", "share", "pyvenv.cfg"],
  },
  {
    kind: "conda environment",
    marks: (prefix) => has(prefix, "conda-meta", "bin"),
    parts: [...PLAIN, "ssl", "conda-meta", "condabin", "shell"],
  },
  {
    kind: "Python installation",
    marks: (prefix) =>
      hasIn(join(prefix, "bin"), /^python\d/) &&
      names(join(prefix, "lib")).some((name) => /^python\d/.test(name) && has(prefix, `lib/${name}/os.py`)),
    parts: PLAIN,
  },
  { kind: "Node installation", marks: (prefix) => has(prefix, "bin/node", "lib/node_modules"), parts: PLAIN },
  {
    kind: "version manager",
    marks: (prefix) => hasIn(prefix, /^[a-z]+env\.d$/) && has(prefix, "libexec"),
    parts: ["bin", "shims", "lib", "libexec", "plugins", "pyenv.d", "rbenv.d", "nodenv.d", "goenv.d", "jenv.d", "completions", "versions", "version"],
    isClone: true,
    env: (prefix) => {
      const name = names(prefix).find((each) => /^[a-z]+env\.d$/.test(each)) ?? "";
      return { [`${name.slice(0, -2).toUpperCase()}_ROOT`]: prefix };
    },
  },
  {
    kind: "version manager",
    marks: (prefix) => has(prefix, "installs", "shims"),
    parts: ["bin", "shims", "lib", "libexec", "plugins", "installs", "completions", "asdf.sh"],
    isClone: true,
    env: (prefix) => (has(prefix, "asdf.sh") ? { ASDF_DIR: prefix, ASDF_DATA_DIR: prefix } : { MISE_DATA_DIR: prefix }),
  },
  {
    kind: "Volta",
    marks: (prefix) => basename(prefix) === ".volta" && has(prefix, "tools"),
    parts: ["bin", "tools"],
    env: (prefix) => ({ VOLTA_HOME: prefix }),
  },
  {
    kind: "Rust toolchain",
    marks: (prefix) => has(prefix, "bin/rustc", "lib/rustlib"),
    parts: ["bin", "lib", "libexec", "share"],
  },
  {
    kind: "Go installation",
    marks: (prefix) => has(prefix, "bin/go", "src/runtime"),
    parts: ["bin", "src", "pkg", "lib", "misc", "api", "VERSION", "go.env"],
  },
  {
    kind: "Java installation",
    marks: (prefix) => has(prefix, "bin/java", "release", "lib"),
    parts: ["bin", "lib", "jre", "jmods", "conf", "include", "legal", "release"],
  },
  {
    kind: "language installation",
    marks: (prefix) =>
      has(prefix, "bin/ruby", "lib/ruby") || has(prefix, "bin/perl", "lib/perl5") || has(prefix, "bin/erl", "lib/erlang"),
    parts: PLAIN,
  },
  {
    kind: "Homebrew",
    marks: (prefix) => has(prefix, "Cellar", "bin/brew"),
    parts: [...PLAIN, "Cellar", "Frameworks", "opt", "etc/ca-certificates", "etc/openssl@3"],
    isClone: true,
  },
  // Owned by root, not by a user: everybody who may log in can read it.
  {
    kind: "system installation",
    marks: (prefix) => /^\/opt\/[^/]+(?:\/[^/]+)?$/.test(prefix) && statOf(prefix)?.uid === 0 && has(prefix, "bin"),
    parts: PLAIN,
  },
]; // biome-ignore format: a table

/** Kinds that a project contains for its own use. */
const ENVIRONMENTS = new Set(["Python environment", "conda environment"]);
export const isEnvironment = ({ kind }: Installation): boolean => ENVIRONMENTS.has(kind);

/** Levels to look up: enough for lib/node_modules/npm/bin/npm-cli.js and versions/1/lib/python3/site-packages/x/y. */
const MAX_HEIGHT = 8;

/** The innermost installation that has the path in one of its parts; null when there is none. */
export function installationOf(path: string, home: string): Installation | null {
  const store = /^\/(?:nix|gnu)\/store(?=\/)/.exec(path)?.[0];
  if (store !== undefined) return { prefix: store, kind: "package store", parts: ["."], env: {} };
  // npm's global packages, where they belong to no installation.
  let packages: Installation | null = null;
  let prefix = dirname(path);
  for (let height = 0; height < MAX_HEIGHT && prefix !== "/"; height += 1, prefix = dirname(prefix)) {
    if (isOwnTree(prefix, home) || isWithin(home, prefix) || isOpenToAll(prefix)) break;
    const found = markOf(prefix);
    if (found?.parts.some((part) => isWithin(path, join(prefix, part)))) return found;
    if (prefix.endsWith("/lib/node_modules")) packages = { prefix, kind: "npm packages", parts: ["."], env: {} };
  }
  return packages;
}

function markOf(prefix: string): Installation | null {
  const isWorkTree = has(prefix, ".git");
  const kind = KINDS.find(({ marks, isClone }) => (!isWorkTree || isClone === true) && marks(prefix));
  if (!kind) return null;
  const parts = kind.parts.filter((part) => has(prefix, part));
  return { prefix, kind: kind.kind, parts, env: kind.env?.(prefix) ?? {} };
}
