import { describe, expect, test } from "bun:test";
import type { Job } from "../../../src/core/job.ts";
import { decideOrphan, type OrphanFacts } from "../../../src/core/orphan.ts";

const NOW = 10_000_000_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const decide = (facts: Partial<OrphanFacts>) =>
  decideOrphan({
    sandboxID: "sbx_1",
    createdAt: NOW,
    recordedAt: null,
    job: null,
    liveSince: null,
    recordsLostAt: null,
    isLeaseAlive: false,
    isAbandoned: false,
    isReader: false,
    isBuilding: null,
    parkAfterMs: MINUTE,
    creationMs: 0,
    now: NOW,
    ...facts,
  });

/** A job that has been in this state for `forMs`; its sandbox is this live one, another live one, or in another state. */
function jobIn(kind: string, sandbox: "this" | "other" | "creating" | "parked", forMs = 0): Job {
  const live = { this: "sbx_1", other: "sbx_2", creating: null, parked: null }[sandbox];
  return {
    state: { kind, since: NOW - forMs },
    sandbox: live === null ? { kind: sandbox } : { kind: "live", id: live },
  } as Job;
}

describe("a sandbox", () => {
  const cases: [what: string, job: Job | null, isLeaseAlive: boolean, ageMs: number, decision: string][] = [
    ["of a deleted session", null, false, 0, "end"],
    ["of a running job", jobIn("running", "this"), true, 99 * MINUTE, "keep"],
    ["of a job whose process died", jobIn("running", "this"), false, 99 * MINUTE, "keep"],
    ["of an interrupted job", jobIn("interrupted", "this", 99 * MINUTE), false, 99 * MINUTE, "keep"],
    ["of a woken job", jobIn("queued", "this"), false, 99 * MINUTE, "keep"],
    ["that is being created", jobIn("starting", "creating"), true, MINUTE, "keep"],
    ["that was being created when its process died", jobIn("starting", "creating"), false, MINUTE, "end"],
    ["that its job has not taken within 10 minutes", jobIn("running", "other"), true, 11 * MINUTE, "end"],
    ["of a job that has just ended", jobIn("completed", "this", MINUTE), false, 99 * MINUTE, "keep"],
    ["of a job that ended long ago", jobIn("failed", "this", 12 * MINUTE), false, 99 * MINUTE, "park"],
    ["of a parked job", jobIn("completed", "parked"), false, MINUTE, "end"],
  ];
  for (const [what, job, isLeaseAlive, ageMs, decision] of cases) {
    test(`${what}: ${decision}`, () => {
      expect(decide({ createdAt: NOW - ageMs, job, isLeaseAlive }) as string).toBe(decision);
    });
  }
});

test("an old sandbox is kept while it is cleared for the run that it was just recorded for", () => {
  const facts = { job: jobIn("starting", "creating"), isLeaseAlive: true, createdAt: NOW - 99 * MINUTE };
  expect(decide({ ...facts, recordedAt: NOW - MINUTE })).toBe("keep");
  expect(decide({ ...facts, recordedAt: NOW - 11 * MINUTE })).toBe("end");
  expect(decide({ ...facts, recordedAt: NOW - MINUTE, isLeaseAlive: false })).toBe("end");
});

test("the sandbox of an ended job is parked at once where its process is known to be dead, and no other job's", () => {
  const after = (job: Job) => decide({ job, isAbandoned: true });
  for (const kind of ["completed", "failed", "cancelled"]) expect(after(jobIn(kind, "this"))).toBe("park");
  for (const kind of ["running", "interrupted", "queued"]) expect(after(jobIn(kind, "this"))).toBe("keep");
});

test("a sandbox that a living process reads files from is kept for an hour at most", () => {
  const job = { state: {}, sandbox: {} } as Job;
  expect(decide({ job, createdAt: NOW - 59 * MINUTE, isReader: true })).toBe("keep");
  expect(decide({ job, createdAt: NOW - 59 * MINUTE, isReader: false })).toBe("end");
  expect(decide({ job, createdAt: NOW - 61 * MINUTE, isReader: true })).toBe("end");
});

describe("a sandbox of a session whose records were damaged", () => {
  const cases = [
    ["created before that, less than a day ago", -MINUTE, 23 * HOUR, "keep"],
    ["created at an unknown time", null, MINUTE, "keep"],
    ["created before that, a day ago", -MINUTE, 24 * HOUR, "end"],
    ["created after that", MINUTE, 2 * MINUTE, "end"],
  ] as const;
  for (const [what, createdMs, sinceMs, decision] of cases) {
    test(`${what}: ${decision}`, () => {
      const recordsLostAt = NOW - sinceMs;
      expect(decide({ createdAt: createdMs === null ? null : recordsLostAt + createdMs, recordsLostAt })).toBe(
        decision,
      );
    });
  }
});

test("a sandbox that waits for a GPU is kept for as long as a creation may take", () => {
  const facts = { job: jobIn("starting", "creating"), isLeaseAlive: true, creationMs: 40 * MINUTE };
  const after = (minutes: number) => decide({ ...facts, createdAt: NOW - minutes * MINUTE });
  expect([after(19), after(39), after(41)]).toEqual(["keep", "keep", "end"]);
  expect(decide({ ...facts, isLeaseAlive: false, createdAt: NOW - 19 * MINUTE })).toBe("end");
});

test("a sandbox that a dead process made before its job got another one is ended at once, and a newer one kept", () => {
  const facts = { job: jobIn("running", "other"), isLeaseAlive: true, creationMs: 40 * MINUTE };
  const after = (createdAt: number | null) => decide({ ...facts, liveSince: NOW - MINUTE, createdAt });
  expect(after(NOW - 2 * MINUTE)).toBe("end");
  expect(after(NOW - MINUTE + 1_000)).toBe("keep");
  // The clocks of a provider and of this machine differ.
  expect(after(NOW - MINUTE - 1_000)).toBe("keep");
  expect(after(null)).toBe("keep");
});

test("a sandbox that costs nothing is kept for its run, which is queued or about to take it, while the process that made it lives", () => {
  const facts = { createdAt: NOW - 99 * MINUTE, mayBeMadeAhead: true };
  expect(decide({ ...facts, job: jobIn("queued", "creating") })).toBe("keep");
  expect(decide({ ...facts, job: jobIn("queued", "creating"), mayBeMadeAhead: false })).toBe("end");
  expect(decide({ ...facts, job: jobIn("starting", "creating"), isLeaseAlive: true })).toBe("keep");
  expect(decide({ ...facts, job: jobIn("starting", "creating"), isLeaseAlive: false })).toBe("end");
  expect(decide({ ...facts, job: jobIn("running", "other"), isLeaseAlive: true })).toBe("end");
  expect(decide({ ...facts, job: jobIn("completed", "parked") })).toBe("end");
});
