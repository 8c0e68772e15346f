import { describe, expect, test } from "bun:test";
import { environmentSchema } from "../../../src/config/environment.ts";
import { optionsSchema } from "../../../src/config/schema.ts";
import { ENVIRONMENT_RULES, OPTION_RULES, SECTION_RULES } from "../../../src/config/trust-rules.ts";
import { renderIgnored } from "../../../src/config/trust-text.ts";
import { plainText } from "../../../src/shared/plain-text.ts";
import { beside, inDefault, loaded, optionsOf, PROJECT_FILE, sha256, trusting, USER_FILE } from "./load-with.ts";

describe("a project's file is ignored if it", () => {
  const LENT = inDefault({ hostEnv: ["HF_TOKEN"] });
  test.each<[string, object, object, string[]]>([
    ["takes the walls away", {}, { local: { isolation: "none" } }, ["local.isolation"]],
    ["lends paths of this machine", {}, { local: { readOnlyPaths: ["/home/ada"] } }, ["local.readOnlyPaths"]],
    ["moves the state", {}, { stateDir: "/project/state" }, ["stateDir"]],
    ["moves the state to a bad place", {}, { stateDir: "relative" }, ["stateDir"]],
    ["chooses the provider", {}, { provider: "modal" }, ["provider"]],
    ["names another app and environment", {}, { modal: { app: "x", environment: "y" } }, ["modal.app", "modal.environment"]],
    ["writes junk where it has no say", {}, { modal: 3, local: { isolation: 4, unheard: 5 } }, ["local.isolation", "modal"]],
    ["makes things look cheap", {}, { prices: { H100: 0 } }, ["prices"]],
    ["trusts itself", {}, { trustedProjects: { "/project": "0".repeat(64) } }, ["trustedProjects"]],
    ["asks for variables of the host", {}, inDefault({ hostEnv: ["MODAL_TOKEN_SECRET"] }), ["environments.default.hostEnv"]],
    ["empties what the user lends", LENT, inDefault({ hostEnv: [] }), ["environments.default.hostEnv"]],
    [
      "asks for secrets, volumes and buckets in an environment of its own",
      {},
      { environments: { own: { secrets: ["s"], volumes: { "/v": "v" }, buckets: { "/b": { bucket: "b" } } } } },
      ["environments.own.buckets", "environments.own.secrets", "environments.own.volumes"],
    ],
    ["lifts the budget", { budget: { usdPerSession: 3 } }, { budget: { usdPerSession: 4 } }, ["budget.usdPerSession"]],
    ["takes the budget away", {}, { budget: { usdPerSession: null } }, ["budget.usdPerSession"]],
    ["warns later", {}, { budget: { warnAt: 0.9 } }, ["budget.warnAt"]],
    ["lifts limits", {}, { maxRunningJobs: 9, maxTasksPerCall: 33 }, ["maxRunningJobs", "maxTasksPerCall"]],
    [
      "lifts times",
      {},
      { jobTimeoutMinutes: 241, stallTimeoutMinutes: 16, parkAfterSeconds: 61, rescueMinutes: 1, checkpointMinutes: null },
      ["checkpointMinutes", "jobTimeoutMinutes", "parkAfterSeconds", "rescueMinutes", "stallTimeoutMinutes"],
    ],
    [
      "lifts limits of GPUs, in any case of their names",
      { gpuLimits: { total: 4, H100: 2 } },
      { gpuLimits: { total: 5, h100: 3 } },
      ["gpuLimits.H100", "gpuLimits.total"],
    ],
    ["wakes where the user does not want it", { notify: { resume: false } }, { notify: { resume: true } }, ["notify.resume"]],
    ["opens the network", inDefault({ network: "blocked" }), inDefault({ network: "open" }), ["environments.default.network"]],
    [
      "adds a domain",
      inDefault({ network: { domains: ["a.org"] } }),
      inDefault({ network: { domains: ["a.org", "b.org"] } }),
      ["environments.default.network"],
    ],
    [
      "adds addresses to a blocked network",
      inDefault({ network: "blocked" }),
      inDefault({ network: { cidrs: ["10.0.0.0/8"] } }),
      ["environments.default.network"],
    ],
    ["opens a port to the internet", {}, inDefault({ ports: [80] }), ["environments.default.ports"]],
    ["wants a GPU", {}, inDefault({ gpu: "T4" }), ["environments.default.gpu"]],
    ["wants more GPUs", inDefault({ gpu: "T4:2" }), inDefault({ gpu: "T4:4" }), ["environments.default.gpu"]],
    ["wants another GPU too", inDefault({ gpu: "T4" }), inDefault({ gpu: "T4|H100" }), ["environments.default.gpu"]],
    ["lets a better GPU stand in", inDefault({ gpu: "H100!" }), inDefault({ gpu: "H100" }), ["environments.default.gpu"]],
    [
      "wants a larger machine than the user's or the provider's own",
      inDefault({ memoryMiB: 512 }),
      inDefault({ memoryMiB: 513, cpu: 2 }),
      ["environments.default.cpu", "environments.default.memoryMiB"],
    ],
    ["leaves memory to the provider", inDefault({ memoryMiB: 512 }), inDefault({ memoryMiB: null }), ["environments.default.memoryMiB"]],
    [
      "keeps sandboxes longer",
      inDefault({ idleTimeoutMinutes: 5 }),
      inDefault({ idleTimeoutMinutes: 6, sandboxTimeoutMinutes: 241 }),
      ["environments.default.idleTimeoutMinutes", "environments.default.sandboxTimeoutMinutes"],
    ],
    ["sends jobs to a region", {}, inDefault({ regions: ["us-east"] }), ["environments.default.regions"]],
    ["gives jobs files they were not to have", inDefault({ workspace: "empty" }), inDefault({ workspace: "project" }), ["environments.default.workspace"]],
    [
      "sends what the user lent through a proxy, or to an image of its own",
      LENT,
      inDefault({ env: { HTTPS_PROXY: "http://evil" }, image: "evil", workdir: "/volume" }),
      ["environments.default.env", "environments.default.image", "environments.default.workdir"],
    ],
    ["preloads code where there are no walls", { local: { isolation: "none" } }, inDefault({ env: { LD_PRELOAD: "/x" } }), ["environments.default.env"]],
    ["starts from an image of the user's account", {}, inDefault({ image: "im-abc" }), ["environments.default.image"]],
    ["builds on such an image", {}, inDefault({ image: { dockerfile: ["RUN x"], base: "im-abc" } }), ["environments.default.image"]],
    ["starts from an image published in the user's account", {}, inDefault({ image: "modal://base" }), ["environments.default.image"]],
    ["has the user's registry secret sent to a registry of its own", inDefault({ imageSecret: "s", image: "ghcr.io/me/x" }), { environments: { default: { image: "evil.io/x" }, own: { image: "evil.io/x" } } }, ["environments.default.image", "environments.own.image"]],
    ["asks for a registry secret, a proxy, a cloud or a runtime", {}, inDefault({ imageSecret: "s", proxy: "p", cloud: "aws", runtime: "vm" }), ["cloud", "imageSecret", "proxy", "runtime"].map((key) => `environments.default.${key}`)],
    ["runs an image of its own behind the user's proxy", inDefault({ proxy: "office" }), inDefault({ image: "evil" }), ["environments.default.image"]],
    ["builds with a network that jobs have not", inDefault({ network: "blocked" }), inDefault({ image: { dockerfile: ["RUN x"] } }), ["environments.default.image"]],
    ["has a set-up run where there are no walls", { local: { isolation: "none" } }, inDefault({ setup: "make" }), ["environments.default.setup"]],
    ["has a set-up run with what the user lent", LENT, inDefault({ setup: ["make"] }), ["environments.default.setup"]],
    ["has a set-up run in a network that jobs have not", inDefault({ network: "blocked" }), inDefault({ setup: "make" }), ["environments.default.setup"]],
    ["has warm sandboxes kept, or images rebuilt", {}, inDefault({ warm: 3, refreshMinutes: 1 }), ["environments.default.refreshMinutes", "environments.default.warm"]],
  ])("%s", async (_what, user, project, keys) => {
    const result = await beside(user, project);
    expect(result.ignored).toEqual(keys);
    expect(result.options).toMatchObject({ ...(await optionsOf({ user: JSON.stringify(user) })), environments: {} });
    const { default: mine } = (await optionsOf({ user: JSON.stringify(user) })).environments;
    for (const environment of Object.values(result.options.environments)) {
      const nothing = { env: {}, hostEnv: [], secrets: [], volumes: {}, buckets: {}, ports: [], proxy: null };
      expect(environment).toEqual(environment === result.options.environments.default ? mine : { ...mine, ...nothing });
    }
  }); // biome-ignore format: a table
});

describe("a project's file counts if it", () => {
  test.each<[string, object, object]>([
    ["lowers limits", {}, { maxRunningJobs: 1, maxTasksPerCall: 2, gpuLimits: { total: 1 } }],
    ["limits a type the user does not, in any case", { gpuLimits: { total: 4 } }, { gpuLimits: { h100: 1 } }],
    ["limits a budget", { budget: { usdPerSession: null } }, { budget: { usdPerSession: 1000, warnAt: 0.1 } }],
    ["shortens times", {}, { jobTimeoutMinutes: 1, stallTimeoutMinutes: 1, parkAfterSeconds: 0 }],
    ["lets an idle agent sleep", {}, { notify: { resume: false } }],
    ["blocks the network", {}, inDefault({ network: "blocked" })],
    ["narrows the network", {}, inDefault({ network: { domains: ["a.org"], cidrs: [] } })],
    ["drops a domain", inDefault({ network: { domains: ["a", "b"] } }), inDefault({ network: { domains: ["a"], cidrs: [] } })],
    ["drops ports, regions and GPUs", inDefault({ ports: [80, 81], regions: ["eu", "us"], gpu: "T4:2|H100" }), inDefault({ ports: [80], regions: ["us"], gpu: "H100!" })],
    ["keeps the project's files out", {}, inDefault({ workspace: "empty" })],
    ["wants an image, variables and a work directory where nothing is lent", {}, inDefault({ image: "python:3.12", env: { A: "1" }, workdir: "/app" })],
    ["builds an image where jobs have the network too", {}, inDefault({ image: { dockerfile: ["RUN x"], base: null } })],
    ["ends sandboxes sooner", {}, inDefault({ idleTimeoutMinutes: 1, sandboxTimeoutMinutes: 30 })],
    ["wants a smaller machine", { environments: { default: { memoryMiB: 512 } } }, inDefault({ memoryMiB: 256, cpu: 0.5 })],
    ["defines an environment of its own", {}, { environments: { own: { image: "python:3.12", memoryMiB: 1024 } } }],
    ["says what the user says", inDefault({ hostEnv: ["A"], env: { B: "1" }, image: "x" }), inDefault({ env: { B: "1" }, image: "x" })],
  ])("%s", async (_what, user, project) => {
    const { options, ignored } = await beside(user, project);
    expect(ignored).toEqual([]);
    const { gpuLimits, ...others } = project as { gpuLimits?: Record<string, number> };
    expect(options).toMatchObject(others);
    for (const [type, limit] of Object.entries(gpuLimits ?? {}))
      expect(options.gpuLimits[type === "total" ? type : type.toUpperCase()]).toBe(limit);
  }); // biome-ignore format: a table
});

describe("the user is told", () => {
  test("which options are ignored, why, and what to add to which file to trust them", async () => {
    const project = '{ "local": { "isolation": "none" }, "maxRunningJobs": 99, "stateDir": "x" }';
    const { notices } = await loaded({ project });
    expect(notices).toEqual([
      `${PROJECT_FILE} comes with the project and may only tighten what you allow; ignored: local.isolation, stateDir (only you may set that); maxRunningJobs (yours is 8). If you trust all of it as it is now, add to ${USER_FILE}: "trustedProjects": { "/project": "${sha256(project)}" }`,
    ]);
  });

  test("the folder's name, visible and ready to copy, whatever the repository called it", () => {
    for (const directory of ["/a/\u202Etxt", "/a/\u200Bb\u001B[2J", '/a/"}\n', "/a/</x> \u{E0041}", "/a/b c", "/a/é"]) {
      const remedy = { directory, sha256: "0".repeat(64), userFile: USER_FILE, trust: "none" } as const;
      const ignored = [{ key: "provider", why: "only you" }];
      const [text = ""] = renderIgnored({ ignored, path: PROJECT_FILE, remedy });
      expect(plainText(text)).toBe(text);
      expect(text).not.toContain("\n");
      const entry = JSON.parse(`{${text.slice(text.indexOf('"trustedProjects"'))}}`) as unknown;
      expect(entry).toEqual({ trustedProjects: { [directory]: "0".repeat(64) } });
    }
  });

  test("that a file has changed since it was trusted, and its new SHA-256", async () => {
    const { user } = trusting({ maxRunningJobs: 9 });
    const project = '{ "maxRunningJobs": 99 }';
    const { options, notices } = await loaded({ project, user: user as string });
    expect(options.maxRunningJobs).toBe(8);
    expect(notices[0]).toContain("It has changed since you trusted it.");
    expect(notices[0]).toContain(sha256(project));
  });

  test("in a short message, however much the file sets", async () => {
    const environments = Object.fromEntries(
      Array.from({ length: 500 }, (_, at) => [`e${at}`, { warm: 1, hostEnv: ["A"] }]),
    );
    const { notices } = await loaded({ project: JSON.stringify({ environments }) });
    expect(notices[0]?.length).toBeLessThan(3_000);
  });

  test("only what was set, if a file only tightens", async () => {
    const environments = { default: { network: "blocked" }, own: { image: "x" } };
    const { notices, remarks } = await loaded({ project: JSON.stringify({ maxRunningJobs: 1, environments }) });
    expect(notices).toEqual([]);
    expect(remarks).toEqual([
      `From ${PROJECT_FILE}: maxRunningJobs = 1, environments.default.network = blocked, environments.own, environments.own.image.`,
    ]);
  });

  test("that a trusted file counts in full", async () => {
    const { notices, remarks } = await loaded(trusting({ maxRunningJobs: 99 }));
    expect([notices, remarks]).toEqual([[], [`All of ${PROJECT_FILE} counts, because you trust this version of it.`]]);
  });
});

describe("every option has a rule of its own", () => {
  const inner = (key: string) => (optionsSchema.shape[key as "modal"].unwrap() as { shape: object }).shape;
  test("at the top", () => {
    const ruled = [
      ...Object.keys(OPTION_RULES),
      ...Object.keys(SECTION_RULES),
      "environments",
      "benchmarks",
      "gpuLimits",
    ];
    expect(ruled.sort()).toEqual(Object.keys(optionsSchema.shape).sort());
  });
  test.each(Object.entries(SECTION_RULES).filter(([, rules]) => typeof rules === "object"))("in %s", (key, rules) => {
    expect(Object.keys(rules).sort()).toEqual(Object.keys(inner(key)).sort());
  });
  test("in environments", () => {
    expect(Object.keys(ENVIRONMENT_RULES).sort()).toEqual(Object.keys(environmentSchema.shape).sort());
  });
});
