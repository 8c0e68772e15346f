import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Environment } from "../../../src/config/environment.ts";
import { parseGpu } from "../../../src/config/gpu.ts";
import type { Options } from "../../../src/config/schema.ts";
import { propertyRuns } from "../../support/property-runs.ts";
import { loadWith } from "./load-with.ts";

/*
 * Whatever the user and the project write, the result allows no more in any respect than the user's options do. The measure
 * is what a job could do or cost, not the rules under test.
 */

const minutes = fc.constantFrom(1, 5, 20, 30, 60, 240, 500);
const network = fc.oneof(
  fc.constantFrom("open", "blocked"),
  fc.record({
    domains: fc.subarray(["a.org", "b.org", "*.c.org"]),
    cidrs: fc.subarray(["10.0.0.0/8", "0.0.0.0/0"]),
  }),
);
const some = <T extends Record<string, fc.Arbitrary<unknown>>>(fields: T) => fc.record(fields, { requiredKeys: [] });
const environment = some({
  image: fc.constantFrom(
    null,
    "python:3.12",
    "im-abc",
    { dockerfile: ["RUN x"] },
    { dockerfile: ["RUN x"], base: "im-a" },
  ),
  workspace: fc.constantFrom("project", "empty"),
  workdir: fc.constantFrom("/workspace", "/data"),
  gpu: fc.constantFrom(null, "T4", "t4:2", "H100!", "H100", "T4|H100:8"),
  cpu: fc.constantFrom(null, 0.5, 1, 4),
  memoryMiB: fc.constantFrom(null, 64, 2048, 65536),
  env: fc.dictionary(fc.constantFrom("A", "LD_PRELOAD", "HTTPS_PROXY"), fc.constantFrom("1", "2"), { maxKeys: 2 }),
  hostEnv: fc.subarray(["HOME", "MODAL_TOKEN_SECRET"]),
  secrets: fc.subarray(["hf", "aws"]),
  volumes: fc.dictionary(fc.constantFrom("/v", "/w"), fc.constantFrom("mine", "other"), { maxKeys: 2 }),
  buckets: fc.constantFrom({}, { "/b": { bucket: "mine" } }),
  ports: fc.subarray([80, 443]),
  network,
  regions: fc.subarray(["eu", "us"]),
  idleTimeoutMinutes: minutes,
  sandboxTimeoutMinutes: fc.option(minutes),
});
const options = some({
  provider: fc.constantFrom("auto", "modal", "local"),
  maxRunningJobs: fc.constantFrom(1, 8, 99),
  maxTasksPerCall: fc.constantFrom(1, 32, 99),
  gpuLimits: some({ total: fc.constantFrom(0, 4, 99), H100: fc.constantFrom(0, 2, 99), h100: fc.constantFrom(0, 3, 99), t4: fc.constantFrom(0, 1) }),
  budget: some({ usdPerSession: fc.constantFrom(null, 1, 25, 1000), warnAt: fc.constantFrom(0, 0.5, 1) }),
  jobTimeoutMinutes: minutes,
  stallTimeoutMinutes: minutes,
  checkpointMinutes: fc.option(minutes),
  rescueMinutes: minutes,
  parkAfterSeconds: fc.constantFrom(0, 60, 999),
  environments: fc.dictionary(fc.constantFrom("default", "own", "toString"), environment, { maxKeys: 3 }),
  modal: some({ app: fc.constantFrom("x", "y"), snapshotTtlDays: fc.constantFrom(null, 1) }),
  local: some({ isolation: fc.constantFrom("auto", "none"), readOnlyPaths: fc.subarray(["/etc", "~/x"]) }),
  prices: some({ H100: fc.constantFrom(0, 9) }),
  notify: some({ resume: fc.boolean() }),
  stateDir: fc.constantFrom("/srv/a", "~/b", "/project/c"),
}); // biome-ignore format: one line each

const capOf = (value: number | null): number => value ?? Number.POSITIVE_INFINITY;
const isSubset = (of: readonly unknown[], all: readonly unknown[]) => of.every((one) => all.includes(one));

/** Everything that a job can reach. */
function reach({ network: given }: Environment): string[] {
  if (given === "open") return ["*", "a.org", "b.org", "*.c.org", "10.0.0.0/8", "0.0.0.0/0"];
  return given === "blocked" ? [] : [...given.domains, ...given.cidrs];
}

/** Every GPU that an environment can request, one by one. */
function gpus({ gpu }: Environment): string[] {
  const parsed = gpu === null ? null : parseGpu(gpu);
  return (parsed?.kind === "ok" ? parsed.preferences : []).flatMap(({ type, count, exact }) =>
    Array.from({ length: count }, (_, at) => `${type}:${at + 1}`).concat(exact ? [] : [`${type} or better`]),
  );
}

/** Whether a task could request as many by its own `gpu`. */
function withinLimits(gpu: string, { gpuLimits }: Options): boolean {
  const [type = "", count = "1"] = gpu.split(":");
  const most = gpuLimits[type.replace(" or better", "")];
  const wanted = Number(count);
  return wanted <= gpuLimits.total && (most === undefined || wanted <= most);
}

const lentTo = ({ env, hostEnv, secrets, volumes, buckets }: Environment) =>
  [Object.entries(env), hostEnv, secrets, Object.entries(volumes), Object.entries(buckets)].map((one) =>
    one.map(String),
  );

/** The user's environment, or what bounds an environment that he does not have. */
interface Bounds {
  readonly isNew: boolean;
  readonly user: Options;
}

function expectNoWider(mine: Environment, theirs: Environment, { isNew, user }: Bounds): void {
  expect(isSubset(reach(theirs), reach(mine))).toBe(true);
  const more = gpus(theirs).filter((gpu) => !gpus(mine).includes(gpu));
  expect(isNew ? more.filter((gpu) => !withinLimits(gpu, user)) : more).toEqual([]);
  expect(isSubset(theirs.ports, mine.ports)).toBe(true);
  const all = isNew ? Object.values(user.environments) : [mine];
  expect(theirs.cpu ?? 1).toBeLessThanOrEqual(Math.max(...all.map(({ cpu }) => cpu ?? 1)));
  expect(theirs.memoryMiB ?? 2048).toBeLessThanOrEqual(Math.max(...all.map(({ memoryMiB }) => memoryMiB ?? 2048)));
  if (all.every(({ memoryMiB }) => memoryMiB !== null)) expect(theirs.memoryMiB).not.toBeNull(); // locally most of the machine's
  expect(theirs.idleTimeoutMinutes).toBeLessThanOrEqual(mine.idleTimeoutMinutes);
  const lifetime = user.jobTimeoutMinutes;
  expect(theirs.sandboxTimeoutMinutes ?? lifetime).toBeLessThanOrEqual(mine.sandboxTimeoutMinutes ?? lifetime);
  if (theirs.workspace === "project") expect(mine.workspace).toBe("project");
  expect(theirs.warm).toBeLessThanOrEqual(mine.warm);
  if (mine.regions.length > 0) expect(theirs.regions.length > 0 && isSubset(theirs.regions, mine.regions)).toBe(true);
  else expect(theirs.regions).toEqual([]);
  // What the user gives to sandboxes: no more than he gave, and only in environments that are otherwise his.
  const isLent = lentTo(mine).some((list) => list.length > 0);
  for (const [at, list] of lentTo(theirs).entries()) if (at > 0 || isLent) expect(isSubset(list, lentTo(mine)[at] ?? [])).toBe(true);
  if (lentTo(theirs).slice(1).some((list) => list.length > 0)) {
    expect([theirs.image, theirs.workdir]).toEqual([mine.image, mine.workdir]);
  }
  const image = JSON.stringify(theirs.image);
  if (image !== JSON.stringify(mine.image)) expect(image).not.toContain("im-");
} // biome-ignore format: one line each

test("a project's file widens nothing, whatever it and the user set", async () => {
  await fc.assert(
    fc.asyncProperty(options, options, options, async (user, tuple, project) => {
      const given = { user: JSON.stringify(user), tuple };
      const [alone, both] = [await loadWith(given), await loadWith({ ...given, project: JSON.stringify(project) })];
      if (alone.kind === "invalid") return; // its own stateDir in the project
      if (both.kind === "invalid") throw new Error(both.message);
      const [mine, theirs] = [alone.options, both.options];
      for (const key of ["provider", "modal", "local", "prices", "stateDir", "trustedProjects"] as const)
        expect(theirs[key]).toEqual(mine[key]);
      for (const key of ["checkpointMinutes", "rescueMinutes"] as const) expect(theirs[key]).toBe(mine[key]);
      for (const key of ["maxRunningJobs", "maxTasksPerCall", "jobTimeoutMinutes", "stallTimeoutMinutes", "parkAfterSeconds"] as const)
        expect(theirs[key]).toBeLessThanOrEqual(mine[key]);
      expect(capOf(theirs.budget.usdPerSession)).toBeLessThanOrEqual(capOf(mine.budget.usdPerSession));
      expect(theirs.budget.warnAt).toBeLessThanOrEqual(mine.budget.warnAt);
      if (theirs.notify.resume) expect(mine.notify.resume).toBe(true);
      for (const type of ["total", "H100", "T4"])
        expect(theirs.gpuLimits[type] ?? theirs.gpuLimits.total).toBeLessThanOrEqual(mine.gpuLimits[type] ?? Number.POSITIVE_INFINITY);
      for (const [name, environment] of Object.entries(theirs.environments)) {
        const isNew = !Object.hasOwn(mine.environments, name);
        const base = mine.environments[isNew ? "default" : name] as Environment;
        const bare = { env: {}, hostEnv: [], secrets: [], volumes: {}, buckets: {}, ports: [] };
        expectNoWider(isNew ? { ...base, ...bare } : base, environment, { isNew, user: mine });
      }
      for (const name of Object.keys(mine.environments)) expect(Object.keys(theirs.environments)).toContain(name);
    }), // biome-ignore format: one line each
    { numRuns: propertyRuns(600) },
  );
});

test("whatever a project's file sets takes effect or is named as ignored", async () => {
  await fc.assert(
    fc.asyncProperty(options, options, async (user, project) => {
      const both = await loadWith({ user: JSON.stringify(user), project: JSON.stringify(project) });
      if (both.kind === "invalid") return;
      const named = new Set(both.ignored.map(({ key }) => key));
      for (const key of ["maxRunningJobs", "maxTasksPerCall", "jobTimeoutMinutes", "provider", "stateDir"] as const)
        if (project[key] !== undefined && !named.has(key)) expect(both.options[key]).toEqual(project[key] as never);
      for (const [name, environment] of Object.entries(project.environments ?? {}))
        for (const [key, value] of Object.entries(environment as object))
          if (!named.has(`environments.${name}.${key}`))
            expect({ [key]: both.options.environments[name]?.[key as "cpu"] as unknown }).toMatchObject({ [key]: value });
    }), // biome-ignore format: one line each
  );
});
