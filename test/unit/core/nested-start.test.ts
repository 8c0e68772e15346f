import { expect, test } from "bun:test";
import { environmentSchema } from "../../../src/config/environment.ts";
import type { Job } from "../../../src/core/job.ts";
import type { JobTask } from "../../../src/core/job-task.ts";
import { createNestedStart, widerThan } from "../../../src/core/nested-start.ts";
import type { SnapshotRecord } from "../../../src/core/snapshot-record.ts";
import { decideStart, type SourceContext } from "../../../src/core/starting-point.ts";

const environment = (given: object = {}) => environmentSchema.parse(given);
const environments = {
  closed: environment({ network: "blocked" }),
  open: environment(),
  small: environment({ network: "blocked", memoryMiB: 256 }),
};
const job = (id: string, more: object = {}) =>
  ({
    id,
    provider: "modal",
    sandbox: { kind: "parked", snapshotID: `snap_${id}` },
    state: { kind: "running" },
    ...more,
  }) as unknown as Job;
const starter = job("job_own", {
  task: { environment: "closed", forbidden: ["gpu"] },
  sandbox: { kind: "live", id: "sb-1" },
});
const runs = [job("job_run", { startedBy: "job_own" })];
const nested = createNestedStart({ starter, runs, environments, maxOpen: 3 });

const known: Record<string, Job> = { job_own: starter, job_run: runs[0] as Job, job_other: job("job_other") };
const snapshotOf = (jobID: string) => ({ id: `snap_${jobID}`, jobID, provider: "modal" }) as SnapshotRecord;
const session: SourceContext = {
  provider: "modal",
  findJob: (id) => known[id] ?? null,
  newestOf: () => null,
  findSnapshot: (name) => (name.startsWith("snap_job_") ? snapshotOf(name.slice(5)) : null),
  lostLabel: (label) => (label === "lost" ? { label, jobID: "job_other", snapshotID: "snap_x" } : null),
  ownerOf: () => "job_other",
  isSnapshot: () => false,
};
const why = (from: string) => {
  const decision = decideStart(from, nested.context(session));
  return decision.kind === "refused" ? decision.why : decision.from;
};

test("a run of a job starts from the job's own files where it names none, in the job's environment", () => {
  const { from, environment } = nested.request({ description: "d", command: "true" });
  expect([from, environment]).toEqual(["job_own", "closed"]);
  expect(why("job_own")).toEqual({ snapshotID: null, source: { kind: "job", id: "job_own" }, parent: "job_own" });
  expect(nested.request({ description: "d", command: "true", from: "x", environment: "y" })).toMatchObject({
    from: "x",
    environment: "y",
  });
});

test("it names snapshots of its job and of its job's runs, and nothing else, all refused in the same words", () => {
  for (const from of ["job_run", "snap_job_run", "snap_job_own"]) expect(why(from)).toMatchObject({ source: null });
  const refusals = ["job_other", "snap_job_other", "lost", "nothing", "sb-0123456789", "im-0123456789"].map((from) =>
    (why(from) as string).replace(from, "X"),
  );
  expect(new Set(refusals).size).toBe(1);
  expect(refusals[0]).toContain("names no snapshot of this job");
});

test("it gets no GPU that the user was to be asked for, no wider environment, and no more company than allowed", () => {
  const tasks = (more: Partial<JobTask>, count = 1) =>
    Array.from({ length: count }, () => ({ environment: "closed", gpu: null, ...more }) as JobTask);
  expect(nested.problem(tasks({}), 0)).toBeNull();
  expect(nested.problem(tasks({ environment: "small" }), 0)).toBeNull();
  expect(nested.problem(tasks({ gpu: "T4" }), 0)).toContain("nobody can be asked");
  expect(nested.problem(tasks({ environment: "open" }), 0)).toContain("a network");
  expect(nested.problem(tasks({}, 2), 0)).toBeNull();
  expect(nested.problem(tasks({}, 3), 0)).toContain("at most 3 runs open");
  expect(nested.problem(tasks({}), 2)).toContain("at most 3 runs open");
});

test.each([
  ["secrets", { secrets: ["token"] }],
  ["variables", { hostEnv: ["TOKEN"] }],
  ["volumes", { volumes: { "/data": "mine" } }],
  ["ports", { ports: [80] }],
  ["proxy", { proxy: "office" }],
  ["private registry", { image: "a/b", imageSecret: "registry" }],
  ["buckets", { buckets: { "/mnt/x": { bucket: "b" } } }],
] as const)("an environment is wider that has other %s", (what, given) => {
  expect(widerThan(environment(), environment(given))).toContain(what);
  expect(widerThan(environment(given), environment(given))).toBeNull();
  expect(widerThan(environment(given), environment())).toBeNull();
});

test("a network is wider unless it is blocked or the same", () => {
  const some = { network: { domains: ["a.example"], cidrs: [] } };
  expect(widerThan(environment(some), environment(some))).toBeNull();
  expect(widerThan(environment(some), environment({ network: "blocked" }))).toBeNull();
  expect(widerThan(environment(some), environment())).toBe("a network");
  expect(widerThan(environment({ network: "blocked" }), environment(some))).toBe("a network");
  expect(widerThan(environment(), environment(some))).toBeNull();
});
