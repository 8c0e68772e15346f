import { expect, test } from "bun:test";
import { gatherReport } from "../../../src/cli/gather-report.ts";
import { NO_EXPERIMENTS } from "../../../src/jobs/ranking/rank-experiments.ts";
import type { LabArchive } from "../../../src/lab/lab.ts";
import { createSampleLab, sampleView } from "../../support/sample-lab.ts";

/** The report of a project with so many metrics. */
function reportOf(count: number) {
  const names = Array.from({ length: count }, (_, index) => `metric_${index}`);
  const [first = "", ...otherMetrics] = names;
  const lab: LabArchive = {
    ...createSampleLab(sampleView("ses_1", [])),
    experiments: () => [],
    leaderboard: (_session, metric) => ({ ...NO_EXPERIMENTS, scope: "project", metric: metric ?? first, otherMetrics }),
  };
  return gatherReport(lab, "ses_1", null);
}

test("a report has up to a hundred metrics, and says which ones it leaves out", () => {
  const whole = reportOf(100);
  expect([whole.leaderboards.length, whole.problems]).toEqual([100, []]);
  const cut = reportOf(102);
  expect(cut.leaderboards.map(({ metric }) => metric)).toEqual(whole.leaderboards.map(({ metric }) => metric));
  expect(cut.problems).toEqual([
    "Experiments of this project have 102 metrics, and a report has 100 of them. Left out are: metric_100, metric_101.",
  ]);
});

test("there is no report where nothing can be read", () => {
  const lab: LabArchive = {
    ...createSampleLab(sampleView("ses_1", [], { problems: ["the disk is away"] })),
    experiments: () => [],
    leaderboard: () => null,
  };
  expect(() => gatherReport(lab, "ses_1", null)).toThrow("the disk is away");
});
