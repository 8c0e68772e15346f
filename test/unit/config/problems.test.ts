import { describe, expect, test } from "bun:test";
import type { Config } from "@opencode-ai/sdk/v2";
import { OPENCODE_KEYS } from "../../../src/config/opencode-keys.ts";
import { loadWith, PROJECT_FILE, problemsOf, USER_FILE } from "./load-with.ts";

const inEnvironment = (big: Record<string, unknown>) => ({ environments: { big } });

describe("an error names the key, the source, what was found and what is allowed", () => {
  test.each([
    [{ maxRunningJobs: "many" }, "maxRunningJobs", '"many"', "a whole number of at least 1"],
    [{ maxRunningJobs: 0 }, "maxRunningJobs", "0", "a whole number of at least 1"],
    [{ maxRunningJobs: 1.5 }, "maxRunningJobs", "1.5", "a whole number of at least 1"],
    [{ maxTasksPerCall: null }, "maxTasksPerCall", "null", "a whole number of at least 1"],
    [{ parkAfterSeconds: -1 }, "parkAfterSeconds", "-1", "a number of at least 0"],
    [{ provider: "docker" }, "provider", '"docker"', '"auto" or "modal" or "local"'],
    [{ local: 3 }, "local", "3", "an object"],
    [{ local: { isolation: ["none"] } }, "local.isolation", "a list of 1", '"seatbelt"'],
    [{ local: { gpus: "all" } }, "local.gpus", '"all"', '"auto", "none", or a list'],
    [{ local: { gpus: 2 } }, "local.gpus", "2", '"auto", "none", or a list'],
    [{ local: { gpus: [0, -1] } }, "local.gpus.1", "-1", "a whole number of at least 0"],
    [{ environments: [] }, "environments", "a list of 0", "environments by name"],
    [
      JSON.parse('{ "environments": { "__proto__": {} } }'),
      "environments.__proto__",
      "a name that is not allowed",
      "begins with a letter or digit",
    ],
    [{ environments: { "a b": {} } }, 'environments."a b"', "a name that is not allowed", "letters, digits"],
    [inEnvironment({ workdir: "relative" }), "environments.big.workdir", '"relative"', "absolute path"],
    [inEnvironment({ workdir: "/a/../../etc" }), "environments.big.workdir", '"/a/../../etc"', 'without ".."'],
    [inEnvironment({ workdir: "/" }), "environments.big.workdir", '"/"', "/workspace"],
    [inEnvironment({ memoryMiB: 1 }), "environments.big.memoryMiB", "1", "at least 64"],
    [
      inEnvironment({ network: { domains: ["https://pypi.org"] } }),
      "environments.big.network.domains.0",
      '"https://pypi.org"',
      "without",
    ],
    [
      inEnvironment({ network: { cidrs: ["10.0.0.1"] } }),
      "environments.big.network.cidrs.0",
      '"10.0.0.1"',
      "10.0.0.0/8",
    ],
    [inEnvironment({ network: "closed" }), "environments.big.network", '"closed"', '"blocked"'],
    [inEnvironment({ env: { PORT: 80 } }), "environments.big.env.PORT", "80", "a string"],
    [inEnvironment({ env: { "1A": "" } }), "environments.big.env.1A", "a name that is not allowed", "letters, digits"],
    [inEnvironment({ hostEnv: "HOME" }), "environments.big.hostEnv", "not shown", "a list of names"],
  ])("%j", async (tuple, key, found, allowed) => {
    const [problem, ...others] = await problemsOf({ tuple });
    expect(others).toEqual([]);
    expect(problem).toMatchObject({ key, source: "opencode.json" });
    expect(problem?.found).toContain(found);
    expect(problem?.allowed).toContain(allowed);
    expect(problem?.message).toContain(`${key} in opencode.json`);
  });

  test("names the source whose value counts, and lists the project's errors beside the user's", async () => {
    const user = '{ "maxRunningJobs": 0, "maxTasksPerCall": 0, "typo": 1 }';
    const problems = await problemsOf({ user, project: '{ "maxRunningJobs": "x" }', tuple: { maxTasksPerCall: "y" } });
    expect(problems.map(({ key, source, found }) => [key, source, found])).toEqual([
      ["maxRunningJobs", USER_FILE, "0"],
      ["maxTasksPerCall", "opencode.json", '"y"'],
      ["typo", USER_FILE, "an unknown key"],
      ["maxRunningJobs", PROJECT_FILE, '"x"'],
    ]);
  });

  test("lists every problem and keeps the message short", async () => {
    const tuple = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`unheard${index}`, 1]));
    const loaded = await loadWith({ tuple });
    expect(loaded.kind === "invalid" && loaded.problems.length).toBe(20);
    expect(loaded.kind === "invalid" && loaded.message).toContain("and 12 more");
  });
});

describe("a misspelt key", () => {
  test.each([
    [{ maxRuningJobs: 2 }, "maxRuningJobs", "maxRunningJobs"],
    [{ local: { isolaton: "auto" } }, "local.isolaton", "isolation"],
    [inEnvironment({ workDir: "/a" }), "environments.big.workDir", "workdir"],
    [{ usdPerSession: 2 }, "usdPerSession", "budget.usdPerSession"],
    [{ gpu: "T4" }, "gpu", "environments.default.gpu"],
  ])("%j is answered with the right one", async (tuple, key, meant) => {
    const [problem] = await problemsOf({ tuple });
    expect(problem?.key).toBe(key);
    expect(problem?.allowed).toEndWith(`Did you mean "${meant}"?`);
  });

  test("that is dotted, as documents write what is nested, is answered with the nested form", async () => {
    const [problem] = await problemsOf({ tuple: { "budget.usdPerSession": 2 } });
    expect(problem?.allowed).toEndWith('Write it nested: { "budget": { "usdPerSession": … } }');
  });

  test("gets no suggestion if no key is similar", async () => {
    expect((await problemsOf({ tuple: { zzz: 1 } }))[0]?.allowed).not.toContain("Did you mean");
  });
});

describe("a key of opencode.json among the plugin's options", () => {
  test.each([
    [{ plugin: [["/path", { maxRunningJobs: 4 }]] }, "The plugin's entry belongs in opencode.json."],
    [{ model: "acme/large" }, "A key of OpenCode itself belongs in opencode.json."],
    [{ provider: { acme: { options: {} } } }, "A key of OpenCode itself belongs in opencode.json."],
  ])("%j is told where it belongs, in place of a key that looks alike", async (given, hint) => {
    const [problem, ...others] = await problemsOf({ user: JSON.stringify(given) });
    expect(others).toEqual([]);
    expect(problem?.message).toContain(hint);
    expect(problem?.message).toEndWith('as in { "maxRunningJobs": 4 }.');
    expect(problem?.message).not.toContain("Did you mean");
  });

  test("is known for every key that OpenCode has", () => {
    type Key = Exclude<keyof Config, "$schema">;
    const all: readonly Key[] = OPENCODE_KEYS;
    const everyKeyIsIn: Exclude<Key, (typeof OPENCODE_KEYS)[number]> extends never ? true : never = true;
    expect([all.length > 0, everyKeyIsIn]).toEqual([true, true]);
  });
});

describe("secrets", () => {
  test.each([
    inEnvironment({ env: "hunter2" }),
    inEnvironment({ env: { "TOKEN=hunter2": 1 } }),
    inEnvironment({ env: { TOKEN: ["hunter2"] } }),
    inEnvironment({ envs: { TOKEN: "hunter2" } }),
    inEnvironment({ hostEnv: ["TOKEN=hunter2"] }),
    inEnvironment({ setup: { run: "curl -H hunter2" } }),
    inEnvironment({ setup: ["", "curl -H hunter2"] }),
    inEnvironment({ secrets: "hunter2" }),
    { token: "hunter2" },
  ])("%j does not show them", async (tuple) => {
    const loaded = await loadWith({ tuple });
    expect(loaded.kind).toBe("invalid");
    expect(JSON.stringify(loaded)).not.toContain("hunter2");
  });
});

describe("an option that this version does", () => {
  test.each([
    { provider: "local" },
    { provider: "auto" },
    { provider: "modal", modal: { app: "x", persistence: "snapshot_filesystem" } },
    { modal: { persistence: "snapshot_directory" } },
    { modal: { persistence: "tar" } },
    { budget: { usdPerSession: null, warnAt: 0.5 }, modal: {}, gpuLimits: { total: 4 }, prices: { h100: 4 } },
    { jobTimeoutMinutes: 10, stallTimeoutMinutes: 5, checkpointMinutes: null, rescueMinutes: 1 },
    inEnvironment({ gpu: "h100:2|T4", network: { domains: ["pypi.org"] }, ports: [8080], cpu: 2 }),
    inEnvironment({ workspace: "project" }),
    inEnvironment({ workspace: "empty", network: "blocked", memoryMiB: 256, hostEnv: ["LANG"] }),
  ])("%j is fine", async (tuple) => {
    expect((await loadWith({ tuple })).kind).toBe("ok");
  });

  test("still has unknown keys below it reported", async () => {
    expect(await problemsOf({ tuple: { modal: { apps: "x" } } })).toMatchObject([
      { key: "modal.apps", found: "an unknown key" },
    ]);
  });
});
