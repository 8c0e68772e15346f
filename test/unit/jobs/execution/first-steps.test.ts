import { expect, test } from "bun:test";
import type { Job } from "../../../../src/core/job.ts";
import type { SessionEvent } from "../../../../src/core/ports.ts";
import { recordFirstCommand, recordFirstSteps } from "../../../../src/jobs/execution/first-steps.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { jobIn } from "../../views/job-in.ts";

function open() {
  const clock = createFakeClock();
  let job: Job = jobIn({ kind: "running" });
  let writes = 0;
  let listener: (event: SessionEvent) => void = () => {};
  const sessionJobs = {
    get: () => job,
    update(_: string, change: (job: Job) => Job) {
      writes++;
      job = change(job);
      return job;
    },
  } as unknown as SessionJobs;
  recordFirstSteps({
    sessions: {
      on(one) {
        listener = one;
        return () => {};
      },
    },
    workers: { find: (session) => (session === "ses_child" ? { sessionJobs, jobID: "job_1" } : null) },
    clock,
    log: () => {},
  });
  const emit = (event: Record<string, unknown>) => listener({ sessionID: "ses_child", ...event } as SessionEvent);
  return { clock, emit, sessionJobs, job: () => job, writes: () => writes };
}

const tool = (name: string, running = true) => ({ kind: "tool", call: "c", tool: name, running });

test("records the first reply and the first command of an agent's job, once each", async () => {
  const { clock, emit, job, sessionJobs, writes } = open();
  const command = () => recordFirstCommand({ sessionJobs, jobID: "job_1" }, clock.now());
  const begun = clock.now();
  emit({ kind: "output" }); // the prompt's own parts are told in the same way
  emit({ ...tool("sandbox_exec"), sessionID: "ses_other" });
  expect(writes()).toBe(0);
  await clock.advance(2_000);
  emit(tool("sandbox_read"));
  await clock.advance(3_000);
  emit(tool("sandbox_exec")); // which may wait for the sandbox
  emit({ kind: "step" });
  expect(job().firstCommandAt).toBeUndefined();
  command();
  await clock.advance(1_000);
  command();
  emit({ kind: "step" });
  expect([job().firstReplyAt, job().firstCommandAt, writes()]).toEqual([begun + 2_000, begun + 5_000, 2]);
});

test("records the whole reply of an agent that calls no tool", () => {
  const { clock, emit, job } = open();
  emit({ kind: "step" });
  expect([job().firstReplyAt, job().firstCommandAt]).toEqual([clock.now(), undefined]);
});
