import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  initialState,
  isAllowed,
  isEnded,
  isHeld,
  type Job,
  type JobState,
  type Transition,
  transition,
} from "../../../../src/jobs/core/job.ts";
import { createSessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import type { SessionStore } from "../../../../src/jobs/store/session-store.ts";
import type { Failure } from "../../../../src/shared/error-code.ts";
import { jobIn } from "../../views/job-in.ts";

const failure: Failure = { code: "stalled", message: "nothing was heard", retryable: true };
const leaseID = fc.constantFrom("lease_1", "lease_2");
const to: fc.Arbitrary<Transition> = fc.oneof(
  fc.record({ kind: fc.constantFrom("queued", "running", "interrupted") }),
  fc.record({ kind: fc.constant("starting" as const), leaseID }),
  fc.record({ kind: fc.constant("completed" as const), result: fc.string() }),
  fc.record({ kind: fc.constant("failed" as const), failure: fc.constant(failure), result: fc.string() }),
  fc.record({ kind: fc.constant("cancelled" as const), reason: fc.option(fc.string()) }),
);
const state: fc.Arbitrary<JobState> = fc.oneof(
  fc.record({ kind: fc.constantFrom("queued", "interrupted"), since: fc.nat() }),
  fc.record({ kind: fc.constantFrom("starting", "running"), since: fc.nat(), leaseID }),
  fc.record({ kind: fc.constant("completed" as const), since: fc.nat(), result: fc.string() }),
  fc.record({ kind: fc.constant("failed" as const), since: fc.nat(), failure: fc.constant(failure) }),
  fc.record({ kind: fc.constant("cancelled" as const), since: fc.nat(), reason: fc.option(fc.string()) }),
);
const job = fc
  .record({
    state,
    childSession: fc.constantFrom(null, "ses_child"),
    sandbox: fc.constantFrom<Job["sandbox"]>({ kind: "none" }, { kind: "live", id: "sb_1" }, { kind: "gone" }),
  })
  .map((parts): Job => ({ ...jobIn({ kind: "queued" }), ...parts }));

test("a transition that is not allowed returns the job itself, and one that is allowed keeps J1, J3 and J4", () => {
  fc.assert(
    fc.property(job, to, fc.option(leaseID, { nil: undefined }), (before, wanted, condition) => {
      const after = transition(before, wanted, 7, condition === undefined ? {} : { leaseID: condition });
      if (after === before) return;
      expect(isAllowed(before, after)).toBe(true);
      expect(after.state).toMatchObject({ kind: wanted.kind, since: 7 });
      expect("leaseID" in after.state).toBe(isHeld(after.state)); // J1
      if (isEnded(before.state)) expect(after.state.kind).toBe("queued"); // J3
      if (condition !== undefined) expect(before.state).toMatchObject({ leaseID: condition });
      if (after.state.kind !== "running") return;
      expect(before.state).toMatchObject({ kind: "starting", leaseID: after.state.leaseID });
      expect(after).toMatchObject({ childSession: "ses_child", sandbox: { kind: "live" } }); // J4
    }),
  );
});

/** Session jobs over a store in memory. */
function openSessionJobs() {
  const written = new Map<string, Job>();
  const save = (one: Job) => void written.set(one.id, one);
  const changes: { readonly before: Job | null; readonly job: Job }[] = [];
  const store = {
    jobs: () => [...written.values()],
    insert: (entries) => entries.forEach((entry) => void save(entry.job)),
    saveJob: save,
    saveState: save,
    saveEnded: save,
  } as Partial<SessionStore> as SessionStore;
  const ids = (prefix: string) => `${prefix}_1`;
  const emit = (change: (typeof changes)[number]) => void changes.push(change);
  return { sessionJobs: createSessionJobs({ orchestrator: "ses_o", store, ids, changes: { emit } }), store, changes };
}

test("whatever is written, a session's jobs change state only as transitions do (J2)", () => {
  const { sessionJobs, store, changes } = openSessionJobs();
  sessionJobs.add([{ job: { ...jobIn({ kind: "queued" }), state: initialState(null, 1) }, prompt: "p" }]);
  let [accepted, refused] = [0, 0];
  fc.assert(
    fc.property(fc.oneof(job, to), (written) => {
      const before = sessionJobs.get("job_1") as Job;
      const change = (current: Job) => ("id" in written ? written : transition(current, written, 9));
      const after = change(before);
      if (after.state === before.state || isAllowed(before, after)) {
        accepted++;
        sessionJobs.update("job_1", change);
      } else {
        refused++;
        expect(() => sessionJobs.update("job_1", change)).toThrow("cannot go from");
        expect(sessionJobs.get("job_1")).toBe(before);
      }
      expect(store.jobs()).toEqual([...sessionJobs.all()]);
    }),
    { numRuns: 300 },
  );
  expect([accepted > 20, refused > 20]).toEqual([true, true]);
  for (const { before, job } of changes) if (before?.state !== job.state) expect(isAllowed(before, job)).toBe(true);
});

test("a new job is queued or refused, and nothing else", () => {
  const { sessionJobs, store } = openSessionJobs();
  const add = (one: Job) => () => sessionJobs.add([{ job: one, prompt: "p" }]);
  expect(add(jobIn({ kind: "completed", result: "done" }))).toThrow("cannot go from new to completed");
  expect(store.jobs()).toEqual([]);
  add({ ...jobIn({ kind: "queued" }), state: initialState(failure, 3) })();
  expect(sessionJobs.all()).toMatchObject([{ state: { kind: "failed", failure, since: 3 } }]);
});
