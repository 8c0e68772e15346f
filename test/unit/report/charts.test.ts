import { expect, test } from "bun:test";
import type { MetricValue } from "../../../src/core/run-task.ts";
import { seriesChart } from "../../../src/report/html/charts.ts";
import type { ReportSeries } from "../../../src/report/report.ts";

const seriesOf = (values: readonly MetricValue[], more: Partial<ReportSeries> = {}): ReportSeries => ({
  ...{ job: "job_1", metric: "loss", source: "output", reports: values.length, notFinite: {} },
  points: values.map((value, step) => [step, value, 0] as const),
  ...more,
});
const chartOf = (...series: ReportSeries[]) => seriesChart("loss", series, [], new Map()).markup;

test("says in the table of a curve how many of its values were no finite number", () => {
  const series = seriesOf([1, "NaN", 2], { reports: 9_000, notFinite: { NaN: 90, Infinity: 1 } });
  expect(chartOf(series)).toContain("<td>90 NaN, 1 Infinity</td>");
});
