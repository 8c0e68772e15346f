import { expect, test } from "bun:test";
import { defaultOptions } from "../../../../src/config/schema.ts";
import type { RuntimeAccess } from "../../../../src/hosts/shared/runtime-access.ts";
import { createToasts } from "../../../../src/hosts/shared/toasts.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { RUN } from "../../jobs/notify/runs-support.ts";
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

test("jobs that end close together share one toast", async () => {
  const { clock, shown, toasts } = open(valid());
  toasts.jobEnded(jobIn({ kind: "completed", result: "x" }));
  toasts.jobEnded(jobIn({ kind: "cancelled", reason: null }));
  expect(shown).toEqual([]);
  await clock.advance(500);
  expect(shown).toEqual([expect.stringMatching(/^warning: .*: completed\n.*: cancelled$/)]);
});

test("runs that end one after another are counted in one toast", async () => {
  const { clock, shown, toasts } = open(valid());
  const state = { kind: "completed", result: "x" } as const;
  for (let n = 0; n < 40; n++) {
    const job = jobIn(state);
    toasts.jobEnded({ ...job, task: { ...job.task, run: RUN } });
    await clock.advance(500);
  }
  await clock.advance(30_000);
  expect(shown).toEqual(["success: 40 jobs have ended: 40 completed"]);
});

test("a host without toasts is no failure", async () => {
  const { clock, toasts, access } = open(valid(), { fails: true });
  toasts.optionsRead(access);
  toasts.budgetLow({ usd: 20, modelUsd: 10, computeUsd: 10 }, 25);
  toasts.jobEnded(jobIn({ kind: "completed", result: "x" }));
  await clock.advance(1_000);
});
