import { expect, test } from "bun:test";
import { defaultOptions } from "../../../../src/config/schema.ts";
import type { RuntimeAccess } from "../../../../src/hosts/shared/runtime-access.ts";
import { createToasts } from "../../../../src/hosts/shared/toasts.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { jobIn } from "../../views/job-in.ts";

function open(loaded: object, { fails = false } = {}) {
  const clock = createFakeClock();
  const shown: string[] = [];
  const toasts = createToasts({
    async show({ message, variant }) {
      if (fails) throw new Error("nobody shows toasts");
      shown.push(`${variant}: ${message}`);
    },
    env: { HOME: "/nonexistent" },
    clock,
  });
  const access = { options: async () => loaded } as unknown as RuntimeAccess;
  return { clock, shown, toasts, access };
}
const valid = (more: object = {}) => ({
  kind: "valid",
  options: { ...defaultOptions("/state"), ...more },
  notices: [],
});

test("unusable options are reported once, as an error", async () => {
  const { clock, shown, toasts, access } = open({ kind: "invalid", message: "parallel-agents: bad \u001b[2Jkey" });
  for (let n = 0; n < 2; n++) toasts.optionsRead(access);
  toasts.jobsStarting(access);
  await clock.advance(0);
  expect(shown).toEqual(["error: parallel-agents: bad key"]);
});

test("missing isolation is a warning with the first message, and where jobs run is not repeated", async () => {
  const { clock, shown, toasts, access } = open(valid({ provider: "local", local: { isolation: "none" } }));
  toasts.optionsRead(access);
  await clock.advance(0);
  toasts.jobsStarting(access);
  await clock.advance(0);
  expect(shown).toEqual([expect.stringMatching(/^warning: Jobs run on this machine WITHOUT isolation/)]);
});

test("the first jobs say where jobs run, and why", async () => {
  const { clock, shown, toasts, access } = open(valid({ provider: "local" }));
  for (let n = 0; n < 2; n++) toasts.jobsStarting(access);
  await clock.advance(0);
  expect(shown).toEqual(['info: Jobs run in local sandboxes on this machine: the option "provider" says so']);
});

const idle = { open: () => 0, resume: true, isBusy: async () => false };
const rest = (count: number) => ({ ...idle, open: () => count });
const done = () => jobIn({ kind: "completed", result: "x" });
const failed = () => jobIn({ kind: "failed", failure: { code: "stalled", message: "m", retryable: null } });
const cancelled = () => jobIn({ kind: "cancelled", reason: null });

test("the end of a batch is told where its session is idle, all its jobs in one toast, and nothing before it", async () => {
  const { clock, shown, toasts } = open(valid());
  toasts.jobEnded(done(), rest(2));
  toasts.jobEnded(failed(), rest(1));
  await clock.advance(60_000);
  expect(shown).toEqual([]);
  toasts.jobEnded(cancelled(), idle);
  await clock.advance(2_000);
  expect(shown).toEqual(["warning: d: completed\nd: failed (stalled)\nd: cancelled"]);
  for (let n = 40; n > 0; n--) toasts.jobEnded(done(), rest(n - 1));
  await clock.advance(2_000);
  expect(shown.slice(1)).toEqual(["success: 40 jobs have ended: 40 completed"]);
});

test("a session at work is told of its jobs, so its user is not, nor with the next batch", async () => {
  const { clock, shown, toasts } = open(valid());
  toasts.jobEnded(failed(), { ...idle, isBusy: async () => true });
  await clock.advance(2_000);
  toasts.jobEnded(done(), idle);
  await clock.advance(2_000);
  expect(shown).toEqual(["success: d: completed"]);
});

test("a failure that nobody is told of is told at once, where an idle session is not woken, and not again with the batch", async () => {
  const { clock, shown, toasts } = open(valid());
  const unwoken = (count: number) => ({ ...rest(count), resume: false });
  toasts.jobEnded(done(), unwoken(4));
  toasts.jobEnded(jobIn(failed().state, { startedBy: "job_0" }), unwoken(3)); // the job that started it is told
  await clock.advance(2_000);
  expect(shown).toEqual([]);
  toasts.jobEnded(failed(), unwoken(2));
  await clock.advance(2_000);
  toasts.jobEnded(done(), unwoken(0));
  await clock.advance(2_000);
  expect(shown).toEqual(["warning: d: failed (stalled)\nd: failed (stalled)", "success: d: completed\nd: completed"]);
});

test("whoever has cancelled all jobs is not told that they have ended", async () => {
  const { clock, shown, toasts } = open(valid());
  toasts.jobEnded(cancelled(), rest(1));
  toasts.jobEnded(cancelled(), idle);
  await clock.advance(2_000);
  expect(shown).toEqual([]);
});

test("what a job is called is on one line, without what a terminal would obey", async () => {
  const { clock, shown, toasts } = open(valid());
  const job = done();
  toasts.jobEnded({ ...job, task: { ...job.task, description: "says\nmuch\u001b[2J\u202e" } }, idle);
  await clock.advance(2_000);
  expect(shown).toEqual(["success: says much: completed"]);
});

test("a host without toasts is no failure", async () => {
  const { clock, toasts, access } = open(valid(), { fails: true });
  toasts.optionsRead(access);
  toasts.budgetLow({ usd: 20, modelUsd: 10, computeUsd: 10 }, 25);
  toasts.jobEnded(done(), idle);
  await clock.advance(1_000);
});
