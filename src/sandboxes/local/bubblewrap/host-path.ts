import { existsSync, readdirSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, normalize, sep } from "node:path";

/*
 * The host's tools outside /usr (version managers, conda, toolchains), lent read-only. Conservative on purpose: a tool
 * that fails to start is a nuisance, a bound credential is a leak. H1: neither the home directory, nor a parent of it,
 * nor anything that holds or lies in the state directory, nor a directory known for credentials is ever bound.
 */

export interface HostPath {
  /** Host paths to bind read-only at the same place. */
  readonly binds: readonly string[];
  /** PATH inside. */
  readonly path: string;
  readonly env: Readonly<Record<string, string>>;
}

const STANDARD = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const NEVER = /^\/(?:tmp|var\/tmp|proc|sys|dev|run|mnt|media|snap|workspace|etc|boot)(?:\/|$)/;
const PRIVATE = new Set([
  ".ssh", ".aws", ".config", ".gnupg", ".kube", ".docker", ".azure", ".netrc", ".password-store", ".mozilla", ".gcloud",
  ".thunderbird", ".git", ".env", "secrets", ".secrets", ".vault", ".terraform.d", ".oci", ".npmrc", ".pki",
]); // biome-ignore format: a table
/** Parts of an installation beside its `bin`. */
const BESIDE_BIN = [
  "lib",
  "lib64",
  "libexec",
  "share",
  "include",
  "ssl",
  "conda-meta",
  "versions",
  "pyvenv.cfg",
  "plugins",
  "pyenv.d",
  "completions",
  "version",
];

export function readHostPath(
  hostPath: string,
  homeDir: string,
  rootDir: string,
  reserved: readonly string[],
): HostPath {
  const home = real(homeDir) ?? homeDir;
  const state = real(rootDir) ?? rootDir;
  const mayBind = (path: string): boolean => {
    if (path === sep || NEVER.test(path) || within(home, path) || within(state, path) || within(path, state))
      return false;
    // On a root filesystem the first level (/opt, /home, /srv) is too much to lend.
    if (path.split(sep).length < 3) return false;
    if (reserved.some((own) => within(own, path) || within(path, own))) return false;
    return !path.split(sep).some((part) => PRIVATE.has(part));
  };
  const binds = new Set<string>();
  const kept: string[] = [];
  const lend = (path: string): boolean => {
    const target = real(path);
    if (target === null || !mayBind(path) || !mayBind(target)) return false;
    if (!within(path, "/usr")) binds.add(path);
    if (target !== path && !within(target, "/usr")) binds.add(target);
    return true;
  };
  const lendFolder = (folder: string, depth: number): boolean => {
    if (!isFolder(folder) || !lend(folder)) return false;
    const prefix = dirname(real(folder) ?? folder);
    if (/^s?bin$|^shims$/.test(basename(folder)) && isInstallation(prefix)) {
      for (const part of BESIDE_BIN) if (existsSync(join(prefix, part))) lend(join(prefix, part));
      if (basename(folder) === "shims" && isFolder(join(prefix, "bin"))) lend(join(prefix, "bin"));
    }
    if (depth > 0)
      for (const target of linkTargets(folder))
        if (isFile(target) && !lendFolder(dirname(target), depth - 1)) lend(target);
    return true;
  };
  for (const entry of hostPath.split(":")) {
    const folder = normalize(entry).replace(/(.)\/$/, "$1");
    if (!isAbsolute(folder) || STANDARD.includes(folder) || kept.includes(folder)) continue;
    if (within(folder, "/usr") ? isFolder(folder) : lendFolder(folder, 1)) kept.push(folder);
  }
  const env: Record<string, string> = {};
  const has = (path: string) => [...binds].some((bound) => within(path, bound));
  if (has(join(home, ".pyenv", "bin"))) env.PYENV_ROOT = join(home, ".pyenv");
  if (has(join(home, ".cargo", "bin")) && lend(join(home, ".rustup", "toolchains"))) {
    env.RUSTUP_HOME = join(home, ".rustup");
    lend(join(home, ".rustup", "settings.toml"));
  }
  return { binds: outermost(binds), path: [...kept, ...STANDARD].join(":"), env };
}

/** Whether `path` is `folder` or lies in it. */
export const within = (path: string, folder: string): boolean =>
  path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep);

function isInstallation(prefix: string): boolean {
  if (
    ["conda-meta", "pyvenv.cfg", "pyenv.d", "lib/node_modules", "lib/rustlib", "src/runtime"].some((mark) =>
      existsSync(join(prefix, mark)),
    )
  )
    return true;
  return (
    isFolder(join(prefix, "lib")) &&
    names(join(prefix, "lib")).some((name) => /^(python\d|ruby|perl5|erlang)/.test(name))
  );
}

/** Files elsewhere that the tools of `folder` are links to. */
function linkTargets(folder: string): string[] {
  const found: string[] = [];
  for (const name of names(folder).slice(0, 2000)) {
    const path = join(folder, name);
    try {
      readlinkSync(path);
    } catch {
      continue; // Not a link.
    }
    const target = real(path);
    if (target !== null && dirname(target) !== folder && !within(target, "/usr")) found.push(target);
    if (found.length === 64) break;
  }
  return found;
}

const outermost = (paths: ReadonlySet<string>): string[] =>
  [...paths].filter((path) => ![...paths].some((other) => other !== path && within(path, other))).sort();

const isFolder = (path: string): boolean => kindOf(path)?.isDirectory() ?? false;
const isFile = (path: string): boolean => kindOf(path)?.isFile() ?? false;

function kindOf(path: string): ReturnType<typeof statSync> | null {
  try {
    return statSync(path) ?? null;
  } catch {
    return null; // Not there, or not ours to look at.
  }
}

function real(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    return null; // A PATH may name what is not there.
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
