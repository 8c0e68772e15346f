import fc from "fast-check";
import type { Job, JobState, Transition } from "../../../src/core/job.ts";
import type { Failure } from "../../../src/shared/error-code.ts";
import { jobIn } from "../views/job-in.ts";

export const failure: Failure = { code: "stalled", message: "no model output for 15 minutes", retryable: true };

export const leaseID = fc.constantFrom("lease_1", "lease_2");

export const transitions: fc.Arbitrary<Transition> = fc.oneof(
  fc.record({ kind: fc.constantFrom("queued", "running", "interrupted") }),
  fc.record({ kind: fc.constant("starting" as const), leaseID }),
  fc.record({ kind: fc.constant("completed" as const), result: fc.string() }),
  fc.record({ kind: fc.constant("failed" as const), failure: fc.constant(failure), result: fc.string() }),
  fc.record({ kind: fc.constant("cancelled" as const), reason: fc.option(fc.string()) }),
);

const states: fc.Arbitrary<JobState> = fc.oneof(
  fc.record({ kind: fc.constantFrom("queued", "interrupted"), since: fc.nat() }),
  fc.record({ kind: fc.constantFrom("starting", "running"), since: fc.nat(), leaseID }),
  fc.record({ kind: fc.constant("completed" as const), since: fc.nat(), result: fc.string() }),
  fc.record({ kind: fc.constant("failed" as const), since: fc.nat(), failure: fc.constant(failure) }),
  fc.record({ kind: fc.constant("cancelled" as const), since: fc.nat(), reason: fc.option(fc.string()) }),
);

/** The job `job_1` in any state, with any child session and sandbox. */
export const jobs: fc.Arbitrary<Job> = fc
  .record({
    state: states,
    childSession: fc.constantFrom(null, "ses_child"),
    sandbox: fc.constantFrom<Job["sandbox"]>({ kind: "none" }, { kind: "live", id: "sb_1" }, { kind: "gone" }),
  })
  .map((parts) => ({ ...jobIn({ kind: "queued" }), ...parts }));
