import { expect, test } from "bun:test";
import { usageOf } from "../../../src/report/usage.ts";
import { experimentOf } from "../../support/experiments.ts";
import { AT } from "../views/job-in.ts";
import { agent } from "./sample.ts";

const kept = (job: string, more: object = {}) => ({
  experiment: { ...experimentOf(0), job, ...more },
  session: "ses_1",
  branch: null,
});

test("counts branches that git has, those of them that are merged, and those that are gone", () => {
  const jobs = [agent({ id: "job_1" }), agent({ id: "job_2" }), agent({ id: "job_3" }), agent({ id: "job_4" })];
  const of = new Map([
    ["job_1", { name: "agents/job_1", isMerged: true }],
    ["job_2", { name: "agents/job_2", isMerged: false }],
  ]);
  const experiments = [
    { ...kept("job_3"), branch: "agents/job_3" },
    { ...kept("job_1"), branch: "agents/job_1" },
  ];
  expect(usageOf(jobs, experiments, { of }, null).branches).toEqual({ collected: 3, merged: 1, gone: 1 });
  expect(usageOf(jobs, experiments, null, null).branches).toEqual({ collected: 2, merged: null, gone: null });
});

test("gives the time to the first reply and command over the jobs of which it is known", () => {
  const jobs = [1, 2, 9].map((s) => agent({ firstReplyAt: AT + 1_000 + s * 1_000 }));
  const usage = usageOf([...jobs, agent()], [], null, null);
  expect([usage.toFirstReply, usage.toFirstCommand]).toEqual([{ n: 3, median: 2, longest: 9 }, null]);
});
