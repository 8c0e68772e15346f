import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type HostPath, readHostPath } from "../../../../src/sandboxes/local/bubblewrap/host-path.ts";
import { createCredentialSearch } from "../../../../src/sandboxes/local/bubblewrap/lent/credentials-in.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { newBase, plant, removeBase, type Tree } from "../../../support/lent-fixture.ts";

const bases: string[] = [];
afterEach(() => bases.splice(0).forEach(removeBase));

/** Reads a PATH in a home with these files. Paths in the result are relative to it. */
function read(tree: Tree, entries: readonly string[], readOnlyPaths: readonly string[] = []) {
  const base = newBase();
  bases.push(base);
  plant(base, { "home/state": "folder", "home/.local/share/opencode/auth.json": "data", ...tree });
  const at = (path: string) => (path === "" || path.startsWith("/") || path.startsWith("./") ? path : join(base, path));
  const short = (path: string) => path.replaceAll(`${base}/`, "");
  const result: HostPath = readHostPath({
    hostPath: entries.map(at).join(":"),
    home: join(base, "home"),
    neverLent: [join(base, "home/state"), join(base, "home/.local/share/opencode")],
    project: join(base, "home/project"),
    inside: ["/workspace", "/home/agent"],
    readOnlyPaths: readOnlyPaths.map(at),
    search: createCredentialSearch(systemClock),
  });
  return {
    binds: result.binds.map(short),
    hidden: result.hidden.map(short),
    links: result.links.map(({ at, to }) => `${short(at)} -> ${short(to)}`),
    path: short(result.path).replace(/:?\/usr\/local\/sbin:\/usr\/local\/bin:\/usr\/sbin:\/usr\/bin:\/sbin:\/bin$/, ""),
    refused: result.refused.map(({ path }) => short(path)),
    lent: result.lent,
    env: Object.fromEntries(Object.entries(result.env).map(([name, value]) => [name, short(value)])),
  };
}

const VENV: Tree = {
  "home/venv/pyvenv.cfg": "data",
  "home/venv/bin/python": "-> /usr/bin/env",
  "home/venv/bin/black": "program",
  "home/venv/lib/python3.12/site-packages/black.py": "data",
  "home/venv/src/mine/.env": "data",
  "home/venv/.env": "data",
};
const PYTHON: Tree = {
  "home/py/bin/python3.12": "program",
  "home/py/lib/python3.12/os.py": "data",
  "home/py/etc/secret": "data",
};

interface Row {
  readonly tree: Tree;
  readonly path: readonly string[];
  readonly binds: readonly string[];
  readonly links?: readonly string[];
  readonly hidden?: readonly string[];
  /** Expected entries of PATH inside; all of them when left out. */
  readonly kept?: readonly string[];
}

const ROWS: Readonly<Record<string, Row>> = {
  "a link to a script in a working folder: only the script": {
    tree: {
      "home/work/deploy.sh": "program",
      "home/work/.env": "data",
      "home/work/id_rsa": "data",
      "home/.local/bin/deploy": "-> home/work/deploy.sh",
    },
    path: ["home/.local/bin"],
    binds: ["home/work/deploy.sh"],
    links: ["home/.local/bin/deploy -> home/work/deploy.sh"],
  },
  "a chain of relative links: only its final target": {
    tree: {
      "home/work/c.sh": "program",
      "home/work/token": "data",
      "home/bin/b": "-> ../work/c.sh",
      "home/.local/bin/a": "-> ../../bin/b",
    },
    path: ["home/.local/bin"],
    binds: ["home/work/c.sh"],
    links: ["home/.local/bin/a -> home/work/c.sh"],
  },
  "links in a loop, to nothing, to a folder and to a file that is not a program: nothing": {
    tree: {
      "home/bin/loop": "-> home/bin/pool",
      "home/bin/pool": "-> home/bin/loop",
      "home/bin/gone": "-> home/gone",
      "home/bin/all": "-> home/work",
      "home/bin/token": "-> home/work/token",
      "home/work/token": "data",
    },
    path: ["home/bin"],
    binds: [],
    kept: [],
  },
  "links to credentials, the state, OpenCode's own files and the project: nothing": {
    tree: {
      "home/.ssh/key": "program",
      "home/.config/tool/run": "program",
      "home/state/run": "program",
      "home/.local/share/opencode/run": "program",
      "home/project/run": "program",
      "home/bin/1": "-> home/.ssh/key",
      "home/bin/2": "-> home/.config/tool/run",
      "home/bin/3": "-> home/state/run",
      "home/bin/4": "-> home/.local/share/opencode/run",
      "home/bin/5": "-> home/project/run",
    },
    path: ["home/bin"],
    binds: [],
    kept: [],
  },
  "~/.local after `pip --user`: only its programs": {
    tree: {
      "home/.local/bin/tool": "program",
      "home/.local/bin/python3": "-> /usr/bin/env",
      "home/.local/bin/python3.12": "program",
      "home/.local/lib/python3.12/os.py": "data",
      "home/.local/lib/python3.12/site-packages/tool.py": "data",
      "home/.local/etc/secret": "data",
    },
    path: ["home/.local/bin"],
    binds: ["home/.local/bin/python3.12", "home/.local/bin/tool"],
    links: ["home/.local/bin/python3 -> /usr/bin/env"],
  },
  "home itself as npm's prefix: its programs and packages": {
    tree: {
      "home/bin/node": "program",
      "home/bin/tool": "-> ../lib/node_modules/tool/cli.js",
      "home/lib/node_modules/tool/cli.js": "program",
      "home/share/notes": "data",
      "home/.env": "data",
    },
    path: ["home/bin"],
    binds: ["home/bin/node", "home/lib/node_modules"],
    links: ["home/bin/tool -> home/lib/node_modules/tool/cli.js"],
  },
  "a user's own folder: its programs, without other files, folders and programs that everybody may write to": {
    tree: {
      "home/bin/run": "program",
      "home/bin/notes.txt": "data",
      "home/bin/.env": "program",
      "home/bin/repo/.git/config": "data",
      "home/bin/repo/run": "program",
      "home/bin/anybodys": "program mode 777",
    },
    path: ["home/bin"],
    binds: ["home/bin/run"],
  },
  "a folder that everybody may write to: nothing": {
    tree: { "home/shared/run": "program", "home/shared": "folder mode 777" },
    path: ["home/shared"],
    binds: [],
    kept: [],
  },
  "a Python environment: its own parts": {
    tree: VENV,
    path: ["home/venv/bin"],
    binds: ["home/venv/bin", "home/venv/lib", "home/venv/pyvenv.cfg"],
  },
  "a link into a Python environment whose interpreter is elsewhere: both": {
    tree: { ...VENV, ...PYTHON, "home/venv/bin/python3": "-> home/py/bin/python3.12", "home/bin/black": "-> home/venv/bin/black" },
    path: ["home/bin"],
    binds: ["home/py/bin", "home/py/lib", "home/venv/bin", "home/venv/lib", "home/venv/pyvenv.cfg"],
    links: ["home/bin/black -> home/venv/bin/black"],
  },
  "an environment with a part that links out of it: all other parts": {
    tree: { "home/venv/pyvenv.cfg": "data", "home/venv/bin/run": "program", "home/venv/lib": "-> home/work", "home/work/key": "data", "home/venv/lib64": "-> bin" },
    path: ["home/venv/bin"],
    binds: ["home/venv/bin", "home/venv/pyvenv.cfg"],
  },
  "a project in an installation: all but files with names for credentials": {
    tree: { ...PYTHON, "home/py/lib/mine/.env.local": "data", "home/py/lib/mine/.git/config": "data", "home/py/lib/mine/src/.ssh/key": "data", "home/py/lib/mine/run.py": "data" },
    path: ["home/py/bin"],
    binds: ["home/py/bin", "home/py/lib"],
    hidden: ["home/py/lib/mine/.env.local", "home/py/lib/mine/.git", "home/py/lib/mine/src/.ssh"],
  },
  "an installation with OpenCode's own files, the state or the project in a part: all other parts": {
    tree: { "home/bin/x": "folder", "home/project/pyvenv.cfg": "data", "home/project/bin/run": "program", "home/project/lib/x": "data", "home/project/.git/config": "data" },
    path: ["home/project/bin"],
    binds: [],
    kept: [],
  },
  "an environment in the project: its parts, and nothing else of the project": {
    tree: { "home/project/.venv/pyvenv.cfg": "data", "home/project/.venv/bin/run": "program", "home/project/.venv/lib/x": "data", "home/project/node_modules/.bin/tsc": "program", "home/project/bin/run": "program" },
    path: ["home/project/.venv/bin", "home/project/node_modules/.bin", "home/project/bin"],
    binds: ["home/project/.venv/bin", "home/project/.venv/lib", "home/project/.venv/pyvenv.cfg"],
    kept: ["home/project/.venv/bin"],
  },
  "a git work tree that looks like an installation: only its programs": {
    tree: { ...PYTHON, "home/py/.git/config": "data" },
    path: ["home/py/bin"],
    binds: ["home/py/bin/python3.12"],
  },
  "nvm: one version": {
    tree: { "home/.nvm/versions/node/v1/bin/node": "program", "home/.nvm/versions/node/v1/bin/npm": "-> ../lib/node_modules/npm/cli.js", "home/.nvm/versions/node/v1/lib/node_modules/npm/cli.js": "program", "home/.nvm/.git/config": "data", "home/.nvm/alias/x": "data" },
    path: ["home/.nvm/versions/node/v1/bin"],
    binds: ["home/.nvm/versions/node/v1/bin", "home/.nvm/versions/node/v1/lib"],
  },
  "cargo: its programs and the toolchains, without the credentials beside them": {
    tree: { "home/.cargo/bin/cargo": "program", "home/.cargo/credentials.toml": "data", "home/.rustup/toolchains/stable/bin/rustc": "program", "home/.rustup/settings.toml": "data" },
    path: ["home/.cargo/bin"],
    binds: ["home/.cargo/bin/cargo", "home/.rustup/settings.toml", "home/.rustup/toolchains"],
  },
  "conda, Go and Java": {
    tree: { "home/conda/conda-meta/h": "data", "home/conda/bin/conda": "program", "home/conda/etc/x": "data", "home/conda/pkgs/x": "data", "home/go/bin/go": "program", "home/go/src/runtime/x": "data", "home/go/VERSION": "data", "home/jdk/bin/java": "program", "home/jdk/lib/x": "data", "home/jdk/release": "data", "home/jdk/demo/x": "data" },
    path: ["home/conda/bin", "home/go/bin", "home/jdk/bin"],
    binds: ["home/conda/bin", "home/conda/conda-meta", "home/go/VERSION", "home/go/bin", "home/go/src", "home/jdk/bin", "home/jdk/lib", "home/jdk/release"],
  },
  "a link as an entry of PATH: its target, under both names": {
    tree: { ...PYTHON, "home/current": "-> home/py" },
    path: ["home/current/bin"],
    binds: ["home/py/bin", "home/py/lib"],
    links: ["home/current/bin -> home/py/bin"],
  },
  "a link below another link as entries of PATH: the outer one": {
    tree: { ...PYTHON, "home/current": "-> home/py", "home/py/run": "program" },
    path: ["home/current/bin", "home/current"],
    binds: ["home/py/bin", "home/py/lib", "home/py/run"],
    links: ["home/current -> home/py"],
  },
  "files beside installed packages are searched for credentials, files in packages are not": {
    tree: { ...PYTHON, "home/py/lib/python3.12/site-packages/.pypirc": "data", "home/py/lib/python3.12/site-packages/x/.env": "data", "home/py/lib/node_modules/.npmrc": "data", "home/py/lib/python3.12/site-packages/id_rsa": "data" },
    path: ["home/py/bin"],
    binds: ["home/py/bin", "home/py/lib"],
    hidden: ["home/py/lib/node_modules/.npmrc", "home/py/lib/python3.12/site-packages/.pypirc", "home/py/lib/python3.12/site-packages/id_rsa"],
  },
  "home, its parents, the root, relative and missing entries, credentials, the state, the sandbox's own paths: nothing": {
    tree: { "home/.ssh/run": "program", "home/ssh": "-> home/.ssh", "home/.config/x/bin/run": "program", "home/state/bin/run": "program", "home/run": "program" },
    path: ["home", "", "/", "/home", "./bin", "home/.ssh", "home/ssh", "home/.config/x/bin", "home/state/bin", "home/state", "/tmp", "/etc", "home/none", "home/../home"],
    binds: [],
    kept: [],
  },
}; // biome-ignore format: a table

describe("of a PATH with", () => {
  for (const [title, { tree, path, binds, links = [], hidden = [], kept = path }] of Object.entries(ROWS))
    test(title, () => {
      const result = read(tree, path);
      expect(result.binds).toEqual([...binds]);
      expect(result.links).toEqual([...links]);
      expect(result.hidden).toEqual([...hidden]);
      expect(result.path).toBe(kept.join(":"));
    });

  test("variables by which a version manager's programs find it are set", () => {
    const result = read(
      {
        "home/.pyenv/libexec/pyenv": "program",
        "home/.pyenv/bin/pyenv": "-> ../libexec/pyenv",
        "home/.pyenv/shims/python": "program",
        "home/.pyenv/pyenv.d/x": "data",
        "home/.pyenv/versions/3.12/bin/python": "program",
        "home/.pyenv/.git/config": "data",
        "home/.pyenv/plugins/p/.git/config": "data",
        "home/.pyenv/plugins/p/shims/x": "program",
      },
      ["home/.pyenv/plugins/p/shims", "home/.pyenv/shims"],
    );
    expect(result.env).toEqual({ PYENV_ROOT: "home/.pyenv" });
    expect(result.binds).toEqual(["bin", "libexec", "plugins", "pyenv.d", "shims", "versions"].map((part) => `home/.pyenv/${part}`));
    expect(result.hidden).toEqual(["home/.pyenv/plugins/p/.git"]);
    expect(result.path).toBe("home/.pyenv/plugins/p/shims:home/.pyenv/shims");
  });

  test("too many programs: a limited number, and the rest is named as refused", () => {
    const many = Object.fromEntries(Array.from({ length: 700 }, (_, at) => [`home/bin/${at}`, "program"]));
    const result = read(many, ["home/bin"]);
    expect(result.binds.length).toBe(300);
    expect(result.refused).toEqual(["home/bin"]);
  });
}); // biome-ignore format: short rows

describe("paths that the user names are lent", () => {
  test("also if they hold credentials or the project, and under both names of a link", () => {
    const tree = { "home/data/x": "data", "home/.aws/config": "data", "home/alias": "-> home/data", "home/project/x": "data" };
    const result = read(tree, [], ["home/data", "home/.aws", "home/alias", "home/project"]);
    expect(result.binds).toEqual(["home/.aws", "home/alias", "home/data", "home/project"]);
    expect(result.refused).toEqual([]);
    expect(result.lent.map(({ why }) => why)).toEqual(result.binds.map(() => "local.readOnlyPaths"));
  });

  test("but not home, its parents, the state, OpenCode's own files, the sandbox's own paths, or a link to any of these", () => {
    const asked = ["home", "/", "/home", "home/state", "home/state/x", "home/.local", "home/.local/share/opencode/auth.json", "home/link", "/etc", "/run", "/proc", "/tmp", "/home/agent", "/workspace", "home/absent"];
    const result = read({ "home/link": "-> home/state", "home/state/x": "data" }, [], asked);
    expect(result.binds).toEqual([]);
    expect(result.refused.sort()).toEqual([...asked].sort());
  });
}); // biome-ignore format: short rows
