import { describe, expect, test } from "bun:test";
import { NO_COMPUTE } from "../../../src/core/cost.ts";
import { STOPPED_EARLY } from "../../../src/core/early-stopping.ts";
import { type GpuUse, NO_GPU_USE } from "../../../src/core/gpu-use.ts";
import type { Job, JobSandbox } from "../../../src/core/job.ts";
import { type JobFacts, toJobView, toSnapshotView } from "../../../src/views/job-view.ts";
import { AT, jobIn } from "./job-in.ts";

const failure = { code: "model_error" as const, message: "APIError: 500", retryable: true };

const facts = (more: Partial<JobFacts> = {}): JobFacts => ({
  place: null,
  live: { tool: null, retry: null, lastActivityAt: null },
  creating: null,
  pendingSince: null,
  now: AT + 90_000,
  ...more,
});

/** The public contract's fields of a job, in its order. */
const ALWAYS = ["id", "kind", "description", "state", "agent", "environment", "provider", "sandbox", "metrics", "turns", "tokens", "usd", "createdAt", "elapsedSeconds", "notes"]; // biome-ignore format: a list
const keys = (...more: string[]) => [...ALWAYS, ...more].sort();
const keysOf = (view: object) => Object.keys(view).sort();

const started = { startedAt: AT + 1_000, childSession: "ses_c", status: "training" };
const live: JobSandbox = { kind: "live", id: "sbx_1" };
const parked: JobSandbox = { kind: "parked", snapshotID: "snap_1" };

const stoppedEarly = jobIn(
  { kind: "cancelled", reason: STOPPED_EARLY },
  { stopped: { rung: 30, value: "NaN", cut: 1.9 } },
);

describe("a job view has exactly the contract's fields", () => {
  const cases: [what: string, job: Job, facts: JobFacts, more: string[]][] = [
    ["queued", jobIn({ kind: "queued" }), facts({ place: { position: 2, reason: "waiting" } }), ["reason", "queuePosition"]],
    ["queued and next", jobIn({ kind: "queued" }), facts({ place: { position: 1, reason: null } }), ["queuePosition"]],
    ["starting", jobIn({ kind: "starting", leaseID: "l" }, { startedAt: AT, sandbox: { kind: "creating" } }), facts({ now: AT + 62_000 }), ["startedAt"]],
    [
      "running",
      jobIn({ kind: "running", leaseID: "l" }, { ...started, sandbox: live }),
      facts({ live: { tool: "sandbox_exec", retry: { attempt: 2, message: "busy", nextAt: AT + 98_000 }, lastActivityAt: AT } }),
      ["reason", "sessionID", "sandboxID", "tool", "status", "startedAt"],
    ],
    ["interrupted", jobIn({ kind: "interrupted" }, { ...started, sandbox: live }), facts(), ["reason", "sessionID", "sandboxID", "status", "startedAt"]],
    ["completed", jobIn({ kind: "completed", result: "42" }, { ...started, sandbox: parked }), facts(), ["sessionID", "status", "startedAt", "endedAt", "snapshot", "result"]],
    ["failed", jobIn({ kind: "failed", failure }, { sandbox: { kind: "gone" } }), facts(), ["endedAt", "error"]],
    ["cancelled", jobIn({ kind: "cancelled", reason: null }), facts(), ["endedAt", "error"]],
    ["stopped early", stoppedEarly, facts(), ["reason", "stopped", "endedAt", "error"]],
  ]; // biome-ignore format: a table
  for (const [what, job, itsFacts, more] of cases) {
    test(`when ${what}`, () => {
      const view = toJobView(job, itsFacts);
      expect(keysOf(view)).toEqual(keys(...more));
      expect(Object.values(view)).not.toContain(undefined);
      expect(JSON.parse(JSON.stringify(view))).toEqual(view);
    });
  }
});

test("shows the model if it is known", () => {
  const job = jobIn({ kind: "queued" });
  expect(toJobView({ ...job, task: { ...job.task, model: "acme/large" } }, facts()).model).toBe("acme/large");
});

test("shows moments in ISO 8601, and the time from the start to the end or to now", () => {
  const done = toJobView(jobIn({ kind: "completed", result: "" }, started), facts());
  expect([done.createdAt, done.startedAt, done.endedAt]).toEqual(["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:01.000Z", "2026-01-01T00:01:00.000Z"]); // biome-ignore format: one line
  expect(done.elapsedSeconds).toBe(59);
  const running = jobIn({ kind: "running", leaseID: "l" }, started);
  expect(toJobView(running, facts()).elapsedSeconds).toBe(89);
  expect(toJobView(running, facts({ now: AT - 60_000 })).elapsedSeconds).toBe(0); // the clock was set back
  expect(toJobView(jobIn({ kind: "queued" }), facts()).elapsedSeconds).toBe(0);
});

test("shows a note once that belongs to the job and to the files it started from", () => {
  const base = { notes: ["a", "b"] } as unknown as Job["base"];
  expect(toJobView(jobIn({ kind: "queued" }, { base, notes: ["b", "c"] }), facts()).notes).toEqual(["a", "b", "c"]);
});

test("says what a job waits for", () => {
  const retry = { attempt: 3, message: "overloaded", nextAt: AT + 98_000 };
  const running = jobIn({ kind: "running", leaseID: "l" });
  const reason = (job: Job, more: Partial<JobFacts>) => toJobView(job, facts(more)).reason;
  expect(reason(running, { live: { tool: null, retry, lastActivityAt: AT } })).toBe(
    "model retry 3 of 5, next in 8 s: overloaded",
  );
  expect(reason(running, { live: { tool: null, retry: { ...retry, nextAt: AT }, lastActivityAt: AT } })).toContain(
    "next in 0 s",
  );
  const repeated = (count: number) =>
    reason(running, {
      live: { tool: "x", retry: null, repeats: { tool: "sandbox_exec", key: "k", count }, lastActivityAt: AT },
    });
  expect([repeated(9), repeated(10)]).toEqual([
    undefined,
    "it has called sandbox_exec 10 times in a row with the same arguments and the same answer",
  ]);
  expect(
    reason(jobIn({ kind: "completed", result: "" }), { live: { tool: "x", retry, lastActivityAt: AT } }),
  ).toBeUndefined();
  expect(reason(jobIn({ kind: "interrupted" }), {})).toContain("when its session is used again");
});

test("reports a delay within seconds", () => {
  const running = jobIn({ kind: "running", leaseID: "l" });
  const live = (lastActivityAt: number | null, tool: string | null = null) => ({ tool, retry: null, lastActivityAt });
  const reason = (job: Job, more: Partial<JobFacts>) => toJobView(job, facts(more)).reason;
  const starting = jobIn({ kind: "starting", leaseID: "l" }, { sandbox: { kind: "creating" } });
  expect(reason(starting, {})).toBe("its sandbox has been starting for 30 s");
  expect(reason(running, { live: live(AT + 86_000) })).toBe("nothing heard from its model for 4 s");
  expect(reason(running, { live: live(AT + 88_000) })).toBeUndefined();
  expect(reason(running, { live: live(AT, "sandbox_exec") })).toBeUndefined();
  expect(reason(running, { live: live(AT, "sandbox_exec"), pendingSince: AT + 83_000 })).toBe(
    "its sandbox has not answered for 7 s",
  );
});

test("shows the result of a job that was stopped, and its compute cost up to now", () => {
  const compute = { ...NO_COMPUTE, usd: 1, usdPerHour: 3.6, since: AT };
  const view = toJobView(jobIn({ kind: "failed", failure, result: "half" }, { compute }), facts());
  expect(view).toMatchObject({ result: "half", error: failure, usd: { model: 0.5, compute: 1.09 } });
});

test("shows an error with the contract's code, and a cancellation with its reason", () => {
  expect(toJobView(jobIn({ kind: "failed", failure }), facts()).error).toEqual(failure);
  const error = (reason: string | null) => toJobView(jobIn({ kind: "cancelled", reason }), facts()).error;
  expect(error("too dear")).toEqual({ code: "cancelled", message: "too dear", retryable: false });
  expect(error(null)?.message).toBe("cancelled by the orchestrator");
});

test("a snapshot view has exactly the contract's fields", () => {
  const record = { id: "snap_1", label: "best", orchestrator: "ses_o", project: null, jobID: "job_1", parent: "snap_0", kind: "filesystem" as const, provider: "local" as const, sizeBytes: 0, files: 0, leftOut: [], createdAt: AT, expiresAt: AT, path: null, storedAs: null, renewedAt: null, parked: false, isState: false }; // biome-ignore format: one line
  const always = ["createdAt", "id", "job", "kind", "provider"];
  expect(keysOf(toSnapshotView(record))).toEqual([...always, "expiresAt", "label", "parent", "sizeBytes"].sort());
  expect(keysOf(toSnapshotView({ ...record, label: null, parent: null, sizeBytes: null, expiresAt: null }))).toEqual(
    always,
  );
});

test("a job that starts says what the creation of its sandbox waits for, and for how long", () => {
  const starting = jobIn({ kind: "starting", leaseID: "l" }, { sandbox: { kind: "creating" } });
  const reason = (creating: JobFacts["creating"], job = starting) => toJobView(job, facts({ creating })).reason;
  const since = AT + 90_000 - 3 * 60_000;
  expect(reason({ kind: "waiting", since, gpu: "H100:8" })).toBe("waiting at Modal for H100:8, 3 min");
  expect(reason({ kind: "building", since, image: "i", line: null })).toBe("building image (3 min)");
  const line = `Step\u001b[31m 3/9\u202e ${"x".repeat(500)}`;
  expect(reason({ kind: "building", since, image: "i", line })).toMatch(
    /^building image: Step 3\/9 x{100,}… \(3 min\)$/,
  );
  expect(reason({ kind: "turn", since, perSecond: 4 })).toBe(
    "waiting for its turn: Modal allows 4 new sandboxes a second",
  );
  expect(reason({ kind: "limited", since, why: "100 containers\u202e" })).toBe(
    "waiting for a limit of the Modal workspace, 3 min: 100 containers",
  );
  // Without the time that it has waited before.
  expect(reason({ kind: "booting", since: AT + 80_000 })).toBe("its sandbox has been starting for 10 s");
  expect(reason({ kind: "booting", since: AT + 88_000 })).toBeUndefined();
  const revived = jobIn({ kind: "starting", leaseID: "l" }, { sandbox: parked });
  expect(reason({ kind: "waiting", since, gpu: "T4" }, revived)).toBe("waiting at Modal for T4, 3 min");
});

test("an error of several lines is one line in which they stay apart", () => {
  const failed = jobIn({ kind: "failed", failure: { ...failure, message: "a\nb" } });
  expect(toJobView(failed, facts()).error?.message).toBe("a ⏎ b");
});

test("a job's GPU use is its mean over the measured time, with the newest sample while it runs, or why there is none", () => {
  const latest = { at: AT, utilization: 71.26, gpus: 2, memoryUsedMiB: 900, memoryTotalMiB: 2_000 };
  const measured = { ...NO_GPU_USE, heldSeconds: 100, measuredSeconds: 80, busySeconds: 50, samples: 4, latest };
  const view = (gpuUse: GpuUse, kind: "running" | "completed" = "running") =>
    toJobView(jobIn({ kind, result: "" }, { gpuUse, sandbox: live }), facts({ now: AT + 30_000 })).gpuUse;
  const mean = { utilization: 62.5, heldSeconds: 100, measuredSeconds: 80, samples: 4, memoryTotalMiB: 2_000 };
  expect(view(measured)).toEqual({ ...mean, now: 71.3 });
  expect(view(measured, "completed")).toEqual(mean);
  expect(view({ ...measured, latest: { ...latest, at: AT - 60_000 } })).toEqual(mean);
  const none = { ...NO_GPU_USE, heldSeconds: 9 };
  expect([none, { ...none, isMissing: true }, { ...none, failures: 1 }].map((use) => view(use)?.unmeasured)).toEqual([
    "no command ran long enough to be measured",
    "its sandbox has no nvidia-smi",
    "nvidia-smi did not say how busy its GPUs are",
  ]);
  expect(view(none)?.utilization).toBeNull();
});

test("an interrupted job's time does not go on, as nobody works on it", () => {
  const view = (now: number) => toJobView(jobIn({ kind: "interrupted" }, { startedAt: AT }), facts({ now }));
  expect(view(AT + 86_400_000).elapsedSeconds).toBe(60);
});
