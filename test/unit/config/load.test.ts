import { describe, expect, test } from "bun:test";
import { configHomeOf } from "../../../src/config/load.ts";
import { defaultOptions } from "../../../src/config/schema.ts";
import {
  fileError,
  type Given,
  loadWith,
  optionsOf,
  PROJECT_FILE,
  problemsOf,
  sha256,
  trusting,
  USER_FILE,
} from "./load-with.ts";

const STATE_DIR = "/home/ada/.local/share/opencode/parallel-agents";

describe("options", () => {
  test("are the defaults of the contract if nothing is set", async () => {
    const nothing = { sources: [], ignored: [], notices: [], remarks: [] };
    expect(await loadWith({})).toEqual({ kind: "ok", options: defaultOptions(STATE_DIR), ...nothing });
    expect(defaultOptions(STATE_DIR)).toMatchObject({
      provider: "auto",
      maxRunningJobs: 8,
      maxTasksPerCall: 32,
      gpuLimits: { total: 10 },
      budget: { usdPerSession: 25, warnAt: 0.8 },
      jobTimeoutMinutes: 240,
      stallTimeoutMinutes: 15,
      checkpointMinutes: 30,
      rescueMinutes: 5,
      parkAfterSeconds: 60,
      environments: { default: { workdir: "/workspace", network: "open", refreshMinutes: 30, warm: 0 } },
      modal: { app: "opencode-parallel-agents", createTimeoutSeconds: 120, snapshotTimeoutSeconds: 300 },
      local: { isolation: "auto", gpus: "auto" },
      notify: { resume: true },
    });
  });

  test("have names of metrics that mean something to JavaScript too", async () => {
    const metrics = JSON.parse('{ "constructor": "c:", "__proto__": "p:" }');
    const own = { command: "make eval", metric: "loss", direction: "min", metrics };
    const { benchmarks } = await optionsOf({ tuple: { benchmarks: { own } } });
    expect(Object.entries(benchmarks.own?.metrics ?? {})).toEqual(Object.entries(metrics));
    const [problem] = await problemsOf({ tuple: { benchmarks: { own: { ...own, metrics: { constructor: 3 } } } } });
    expect(problem).toMatchObject({ key: "benchmarks.own.metrics.constructor" });
  });

  test("of the tuple override the user's file, and the project's file tightens both", async () => {
    const user = '{ "maxRunningJobs": 1, "maxTasksPerCall": 3, "parkAfterSeconds": 1 }';
    const project = '{ "maxRunningJobs": 2, "maxTasksPerCall": 2 }';
    const loaded = await loadWith({ user, project, tuple: { maxRunningJobs: 3 } });
    expect(loaded).toMatchObject({
      options: { maxRunningJobs: 2, maxTasksPerCall: 2, parkAfterSeconds: 1 },
      sources: [USER_FILE, PROJECT_FILE, "opencode.json"],
    });
  });

  test("of a trusted project's file all count, and the tuple still overrides them", async () => {
    const project = '{ "maxRunningJobs": 20, "maxTasksPerCall": 20 }';
    const user = JSON.stringify({ maxRunningJobs: 1, trustedProjects: { "/project": sha256(project) } });
    expect(await optionsOf({ user, project, tuple: { maxTasksPerCall: 2 } })).toMatchObject({
      maxRunningJobs: 20,
      maxTasksPerCall: 2,
    });
  });

  test("for environments are merged by name, and within an environment by key", async () => {
    const user = '{ "environments": { "big": { "memoryMiB": 512, "env": { "A": "1" } }, "mine": {} } }';
    const tuple = { environments: { big: { workdir: "/data", env: { B: "2" } } } };
    const { environments } = await optionsOf({ user, tuple });
    expect(Object.keys(environments).sort()).toEqual(["big", "default", "mine"]);
    expect(environments.big).toMatchObject({ memoryMiB: 512, workdir: "/data", env: { A: "1", B: "2" } });
  });

  test("for a narrower network do not inherit what a wider one allowed", async () => {
    const user = '{ "environments": { "default": { "network": "open" } } }';
    const project = '{ "environments": { "default": { "network": "blocked" } } }';
    expect((await optionsOf({ user, project })).environments.default).toMatchObject({ network: "blocked" });
  });

  test("may be in a file with comments, trailing commas, a byte order mark or $schema, and the file may be empty", async () => {
    const user = '\uFEFF// mine\n{ "$schema": "./x.json", "maxRunningJobs": 3, /* few */ }';
    expect(await optionsOf({ user, project: " // nothing yet\n" })).toMatchObject({ maxRunningJobs: 3 });
  });

  test("that code sets to undefined are not set", async () => {
    expect(await optionsOf({ project: '{ "maxRunningJobs": 3 }', tuple: { maxRunningJobs: undefined } })).toMatchObject(
      {
        maxRunningJobs: 3,
      },
    );
  });
});

describe("the state directory", () => {
  test.each([
    [{}, {}, STATE_DIR],
    [{}, { XDG_DATA_HOME: "/data" }, "/data/opencode/parallel-agents"],
    [{}, { XDG_DATA_HOME: "relative/is/ignored" }, STATE_DIR],
    [{ stateDir: "~/lab" }, {}, "/home/ada/lab"],
    [{ stateDir: "/srv/lab" }, {}, "/srv/lab"],
  ])("%j with %j is in its place", async (tuple, env, stateDir) => {
    expect(await optionsOf({ tuple, env })).toMatchObject({ stateDir });
  });

  test("must not be relative", async () => {
    expect(await problemsOf({ user: '{ "stateDir": "lab" }' })).toMatchObject([
      { key: "stateDir", source: USER_FILE, found: "a relative path" },
    ]);
  });

  const INSIDE: [string, Given][] = [
    ["in the project", { tuple: { stateDir: "/project/state" } }],
    ["the project itself", { tuple: { stateDir: "/project" } }],
    ["in it by way of ..", { tuple: { stateDir: "/srv/../project/.state" } }],
    ["in it through a link", { tuple: { stateDir: "/srv/lab/state" }, links: { "/srv/lab": "/project/lab" } }],
    ["in it, which is opened through a link", { tuple: { stateDir: "/real/state" }, links: { "/project": "/real" } }],
    [
      "beside it in its repository",
      { tuple: { stateDir: "/repo/state" }, directory: "/repo/sub", repositories: ["/repo"] },
    ],
    [
      "in the repository around its repository",
      { tuple: { stateDir: "/top/state" }, directory: "/top/lib/sub", repositories: ["/top", "/top/lib"] },
    ],
    ["the default, in a project that holds it", { directory: "/home/ada/.local/share" }],
    ["what a file that is trusted says", trusting({ stateDir: "/project/state" })],
    ["your home", { tuple: { stateDir: "~" } }],
    ["a folder around your home", { tuple: { stateDir: "/home" } }],
  ];
  test.each(INSIDE)("is refused if it is %s", async (_where, given) => {
    expect(await problemsOf(given)).toMatchObject([{ key: "stateDir", found: expect.stringMatching(/project|home/) }]);
  });

  const OUTSIDE: [string, Given, string][] = [
    ["outside of the project", { tuple: { stateDir: "/project-state" } }, "/project-state"],
    ["a name that begins like the way up", { tuple: { stateDir: "/..state" } }, "/..state"],
    ["the default, where home is opened", { directory: "/home/ada" }, STATE_DIR],
    ["the default, where home is a repository", { directory: "/home/ada", repositories: ["/home/ada"] }, STATE_DIR],
    ["the default, in a folder of such a home", { directory: "/home/ada/a/b", repositories: ["/home/ada"] }, STATE_DIR],
    ["the default, where the root is opened", { directory: "/", repositories: ["/"] }, STATE_DIR],
    [
      "a link of the user's to another disk",
      { tuple: { stateDir: "~/s" }, links: { "/home/ada/s": "/mnt/s" } },
      "/home/ada/s",
    ],
    ["not the project's, of the command line", { tuple: { stateDir: "/project/s" }, directory: null }, "/project/s"],
  ];
  test.each(OUTSIDE)("is accepted if it is %s", async (_where, given, stateDir) => {
    expect(await optionsOf(given)).toMatchObject({ stateDir });
  });

  test("and the folder of configuration follow XDG", () => {
    expect(configHomeOf({ HOME: "/home/ada" })).toBe("/home/ada/.config");
    expect(configHomeOf({ HOME: "/home/ada", XDG_CONFIG_HOME: "/etc/ada" })).toBe("/etc/ada");
  });
});

test.each(["relative", "../up", "~other/x", "", 3])("refuses %p in local.readOnlyPaths", async (path) => {
  const problems = await problemsOf({ tuple: { local: { readOnlyPaths: [path] } } });
  expect(problems.map(({ key }) => key)).toContain("local.readOnlyPaths.0");
});

test("expands ~/ in local.readOnlyPaths", async () => {
  const { local } = await optionsOf({ user: '{ "local": { "readOnlyPaths": ["~/data", "/srv/models"] } }' });
  expect(local.readOnlyPaths).toEqual(["/home/ada/data", "/srv/models"]);
});

describe("unusable options", () => {
  test("a syntax error is reported with file, line and column, without the file's content", async () => {
    const user = '{\n  "environments": { "default": { "env": { "TOKEN": "hunter2" "B": "" } } }\n}';
    const [problem] = await problemsOf({ user });
    expect(problem).toMatchObject({ key: "options", source: USER_FILE });
    expect(problem?.message).toContain("line 2, column 62");
    expect(problem?.message).not.toContain("hunter2");
  });

  test("a file that exists and cannot be read is an error", async () => {
    expect(await problemsOf({ project: fileError("EACCES") })).toMatchObject([
      { source: PROJECT_FILE, found: "a file that cannot be read (EACCES)" },
    ]);
  });

  test.each([
    [USER_FILE, {}, "the name parallel-agents.jsonc"],
    [PROJECT_FILE, {}, "the name parallel-agents.jsonc"],
    [USER_FILE, { user: "{}" }, "parallel-agents.jsonc alone, which is there too"],
    [PROJECT_FILE, { project: "{}" }, "parallel-agents.jsonc alone, which is there too"],
  ])("%s without the c is an error, because it is not read", async (path, beside, allowed) => {
    const misnamed = path.replace("jsonc", "json");
    const given = { ...beside, others: { [misnamed]: '{ "maxRunningJobs": 1 }' } };
    expect(await problemsOf(given)).toMatchObject([{ key: "options", source: misnamed, allowed }]);
    const env = { OPENCODE_DISABLE_PROJECT_CONFIG: "1" };
    expect((await loadWith({ ...given, env })).kind).toBe(path === USER_FILE ? "invalid" : "ok");
  });

  test("a path below something that is not a folder is a missing file", async () => {
    expect((await loadWith({ project: fileError("ENOTDIR") })).kind).toBe("ok");
  });

  test.each(["[]", "3", "null"])("a file that contains %s is refused", async (user) => {
    expect(await problemsOf({ user })).toMatchObject([{ key: "options", source: USER_FILE }]);
  });

  test.each([3, "x", [[]], () => {}])("a tuple of %p is refused", async (tuple) => {
    expect(await problemsOf({ tuple })).toMatchObject([{ key: "options", source: "opencode.json" }]);
  });
});
