import { compileKind, type Kind, normalizeName } from "../collect/auto-loaded-files.ts";
import { foldersAbove, toText } from "../paths.ts";
import { PYTHON_MODULES } from "./python-modules.ts";

/*
 * Files by which a job would get into a benchmark's own programs before they have done anything: an interpreter, a shell
 * or a test runner obeys them because of where they lie and what they are called. In a clean measurement the project's own
 * count, as if they were protected. Names are compared as the most lenient file system would compare them.
 */

const ALWAYS: readonly Kind[] = [
  {
    who: "Python runs or obeys it at its start",
    names: "sitecustomize.* usercustomize.* *.pth *._pth pyvenv.cfg .pythonrc* .pythonstartup*",
    folders: "sitecustomize usercustomize site-packages dist-packages .venv venv .ipython",
  },
  { who: "Python may run it in place of the source", names: "*.pyc *.pyo", folders: "__pycache__" },
  {
    who: "test runners run or obey it at their start",
    names:
      "conftest.py pytest.ini .pytest.ini pytest.toml .pytest.toml tox.ini setup.cfg .coveragerc .rspec jest.config.* vitest.config.* vitest.setup.* .mocharc* ava.config.* karma.conf.* phpunit.xml*",
    folders: "",
  },
  {
    who: "shells, loaders or environment tools obey it",
    names:
      ".bashrc .bash_profile .bash_login .bash_aliases .bash_env .profile .zshrc .zshenv .zprofile .zlogin .kshrc .shrc .inputrc config.fish .envrc .autoenv .env .env.* .mise.toml mise.toml .tool-versions rust-toolchain rust-toolchain.toml ld.so.preload ld.so.conf .gdbinit .lldbinit .pdbrc",
    folders: ".mise .direnv .cargo .config .local",
  },
  {
    who: "Node, Ruby, R or their package managers run or obey it",
    names:
      ".npmrc .yarnrc .yarnrc.yml .pnpmfile.cjs .pnp.* bunfig.toml .babelrc* babel.config.* .swcrc .irbrc .rprofile .rprofile.site .renviron .user.ini .condarc pip.conf pip.ini uv.toml",
    folders: "node_modules .yarn .bundle",
  },
];

/** Files that a program obeys which the measurement's own text calls. */
const OF_PROGRAMS: readonly { readonly programs: RegExp; readonly kind: Kind }[] = [
  [/\b(?:g|b|re)?make\b/, "make takes from it what it runs", "makefile gnumakefile bsdmakefile *.mk"],
  [/\bjust\b/, "just takes from it what it runs", "justfile .justfile"],
  [/\b(?:cmake|ctest|ninja)\b/, "the build takes from it what it runs", "cmakelists.txt *.cmake build.ninja"],
  [
    /\b(?:npm|npx|pnpm|yarn|bun|bunx|node|deno|tsx|ts-node)\b/,
    "its scripts and settings decide what is run",
    "package.json tsconfig.json deno.json deno.jsonc package-lock.json yarn.lock pnpm-lock.yaml bun.lock",
  ],
  [
    /\b(?:pytest|py\.test|tox|nox|uv|uvx|pip3?|poetry|pdm|hatch|pipenv|rye)\b/,
    "its settings decide what is run",
    "pyproject.toml noxfile.py setup.py pipfile pipfile.lock poetry.lock pdm.lock uv.lock hatch.toml",
  ],
  [/\bcargo\b/, "cargo runs or obeys it", "build.rs cargo.toml cargo.lock"],
  [/\bgo (?:run|test|build)\b/, "go obeys it", "go.mod go.work go.sum"],
  [/\b(?:gradle|gradlew|mvn|mvnw)\b/, "the build takes from it what it runs", "build.gradle* settings.gradle* pom.xml gradlew mvnw gradle.properties"],
  [/\b(?:rake|rspec|bundle)\b/, "Ruby's tools run it", "rakefile gemfile gemfile.lock .rspec"],
].map(([programs, who, names]) => ({
  programs: programs as RegExp,
  kind: { who: who as string, names: names as string, folders: "" },
})); // biome-ignore format: a table

export interface Measuring {
  /** The command, and what else calls programs among the protected files. */
  readonly calls: string;
  /** Names that protected Python files import. */
  readonly imported: ReadonlySet<string>;
  /** Folders that the command's programs may import from; "" = the work directory. */
  readonly importRoots: readonly string[];
  /** Names of packages that the project declares to need. */
  readonly packages: ReadonlySet<string>;
  /** The project's own files. */
  readonly base: Iterable<string>;
  readonly protectedFiles: readonly string[];
}

/** Endings under which Python, Node and others find a module by its name alone. */
const MODULE = /\.(?:py|pyc|pyw|so|pyd|js|mjs|cjs|jsx|ts|mts|cts|tsx|node|json|wasm|rb|lua|jl|pl|pm|r)$/;

/** Tells how a file would get into the measurement by itself, as a clause that follows its name; null = it would not. */
export function createStartUpRules(measuring: Measuring): (path: string, isLink: boolean) => string | null {
  const { calls, imported, packages, base, protectedFiles } = measuring;
  const programs = OF_PROGRAMS.filter((one) => one.programs.test(calls)).map(({ kind }) => kind);
  const kinds = [...ALWAYS, ...programs].map(compileKind);
  const roots = measuring.importRoots.map(plain);
  const own = new Set([...base].map(plain));
  /** Modules and packages of the project that Python finds by their names. */
  const ownModules = new Set([...own].map((path) => withoutEnding(path.replace(/\/__init__\.\w+$/, ""))));
  const sources = protectedFiles.map(plain).filter((path) => MODULE.test(path));
  const protectedModules = new Set(sources.map(withoutEnding));
  const protectedFolders = new Set(sources.flatMap((path) => foldersAbove(path).map((one) => one.slice(0, -1))));
  const protectedNames = new Set([...protectedModules].map(lastOf).filter((name) => imported.has(name)));

  return (path, isLink) => {
    const spelt = plain(path);
    const parts = spelt.split("/");
    const name = parts.at(-1) ?? "";
    const kind = kinds.find(({ isName, isFolder }) => isName.test(name) || parts.some((part) => isFolder?.test(part)));
    if (kind) return kind.who;
    const folder = /^(.+)\/__init__\.[^/]+$/.exec(spelt)?.[1];
    if (folder !== undefined && protectedFolders.has(folder))
      return `Python runs it before the protected modules in ${folder}`;
    if (own.has(spelt)) return null;
    const module = folder ?? (MODULE.test(name) ? withoutEnding(spelt) : isLink ? spelt : null);
    return module === null ? null : inPlaceOf(module);
  };

  /** What a new module would be taken for. Folders that are no packages are found last, and so take nobody's place. */
  function inPlaceOf(module: string): string | null {
    if (protectedModules.has(module)) return `it would be taken for the protected module ${module}`;
    if (protectedFolders.has(module)) return `it would be taken for the folder ${module}, which has protected modules`;
    const root = roots.find((one) => one === module.slice(0, Math.max(0, module.lastIndexOf("/"))));
    const name = lastOf(module);
    const isMeantFromElsewhere = PYTHON_MODULES.has(name) || packages.has(name) || protectedNames.has(name);
    if (root === undefined || !isMeantFromElsewhere || ownModules.has(module)) return null;
    return `it would be imported in place of the module ${name}`;
  }
}

/** A path in the form in which the most lenient file system compares it. */
const plain = (path: string): string => toText(path).split("/").map(normalizeName).join("/");

/** Without everything after the first dot of the last name: `json.cpython-312-x86_64-linux-gnu.so` is the module json. */
const withoutEnding = (path: string): string => path.replace(/(?<=[^/])\.[^/]*$/, "");

const lastOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Top-level names that Python code imports. */
export function importedNames(text: string): ReadonlySet<string> {
  const found = new Set<string>();
  for (const [, from, list] of text.matchAll(/^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w., \t]+))/gm))
    for (const name of (from ?? list ?? "").split(",")) {
      const first = /^\s*(\w+)/.exec(name)?.[1];
      if (first !== undefined) found.add(first.toLowerCase());
    }
  return found;
}
