import { expect, test } from "bun:test";
import fc from "fast-check";
import { initialState, isAllowedChange, type Job, transition } from "../../../../src/core/job.ts";
import { createSessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import type { SessionStore } from "../../../../src/jobs/store/session-store.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { failure, jobs, transitions } from "../../core/job-arbitraries.ts";
import { jobIn } from "../../views/job-in.ts";

/** A session's jobs over a store in memory. */
function openSessionJobs() {
  const saved = new Map<string, Job>();
  const save = (job: Job) => void saved.set(job.id, job);
  const changes: { readonly before: Job | null; readonly job: Job }[] = [];
  const store = {
    version: () => "1",
    jobs: () => [...saved.values()],
    insert: (entries) => entries.forEach((entry) => void save(entry.job)),
    saveJob: save,
    saveEnded: save,
  } as Partial<SessionStore> as SessionStore;
  const ids = (prefix: string) => `${prefix}_1`;
  const emit = (change: (typeof changes)[number]) => void changes.push(change);
  return {
    sessionJobs: createSessionJobs({
      orchestrator: "ses_o",
      store,
      ids,
      clock: createFakeClock(),
      log: () => {},
      changes: { emit },
    }),
    store,
    changes,
  };
}

test("a session's jobs refuse every change of state that is no transition (J2)", () => {
  const { sessionJobs, store, changes } = openSessionJobs();
  sessionJobs.add([{ job: { ...jobIn({ kind: "queued" }), state: initialState(null, 1) }, prompt: "p" }]);
  let [accepted, refused] = [0, 0];
  fc.assert(
    fc.property(fc.oneof(jobs, transitions), (written) => {
      const before = sessionJobs.get("job_1") as Job;
      const change = (current: Job) => ("id" in written ? written : transition(current, written, 9));
      const after = change(before);
      if (after.state === before.state || isAllowedChange(before, after)) {
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
  for (const { before, job } of changes)
    if (before?.state !== job.state) expect(isAllowedChange(before, job)).toBe(true);
});

test("a session's jobs accept a new job only if it is queued or was refused", () => {
  const { sessionJobs, store } = openSessionJobs();
  const add = (job: Job) => () => sessionJobs.add([{ job, prompt: "p" }]);
  expect(add(jobIn({ kind: "completed", result: "done" }))).toThrow("cannot go from new to completed");
  expect(store.jobs()).toEqual([]);
  add({ ...jobIn({ kind: "queued" }), state: initialState(failure, 3) })();
  expect(sessionJobs.all()).toMatchObject([{ state: { kind: "failed", failure, since: 3 } }]);
});
