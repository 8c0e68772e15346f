import { expect, test } from "bun:test";
import type { MetricValue } from "../../../src/core/run-task.ts";
import { costChart, seriesChart } from "../../../src/report/html/charts.ts";
import type { ReportBoard, ReportSeries } from "../../../src/report/report.ts";
import { experimentOf } from "../../support/experiments.ts";
import { entryOf, sampleReport } from "./sample.ts";

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

test("draws every point that is kept, wherever a spike is", () => {
  for (const spike of [0, 99, 100, 101, 255]) {
    const chart = chartOf(seriesOf(Array.from({ length: 256 }, (_, at) => (at === spike ? 100 : 1 + (at % 2) / 100))));
    const [, path = ""] = /<path class="line s0" d="([^"]*)"/.exec(chart) ?? [];
    const heights = [...path.matchAll(/[ML][\d.]+ ([\d.]+)/g)].map(([, top]) => Number(top));
    expect([spike, heights.length, heights.indexOf(Math.min(...heights))]).toEqual([spike, 256, spike]);
  }
});

test("marks values that are not finite, and says what the mark is", () => {
  const chart = chartOf(seriesOf([1, 2, "NaN", 3, 4]));
  expect(chart.match(/<path class="s0 hollow"/g)).toHaveLength(1);
  expect(chart).toContain("×: not a finite number.");
  expect(chartOf(seriesOf([1, 2]))).not.toContain("×:");
});

test("has room at its left for the longest number of its axis", () => {
  const chart = chartOf(seriesOf([12_345_678.123, 12_345_678.129]));
  const [, left, label = ""] = /<text class="dim" x="([\d.]+)"[^>]*text-anchor="end">([^<]*)/.exec(chart) ?? [];
  expect(label).toBe("12345678.124");
  expect(Number(left)).toBeGreaterThan(label.length * 6);
});

function boardOf(...entries: Parameters<typeof entryOf>[]): ReportBoard {
  const [board] = sampleReport({ entries: entries.map((one) => entryOf(...one)) }).leaderboards;
  if (!board) throw new Error("no leaderboard");
  return board;
}

test("shows no negative cost where nothing cost anything", () => {
  const chart = costChart(boardOf([{ ...experimentOf(0), usd: 0 }, { rank: 1 }])).markup;
  expect(chart).toContain(">$0<");
  expect(chart).not.toContain("$-");
});

test("draws what is not ranked hollow, and says so", () => {
  const ranked = costChart(boardOf([experimentOf(0), { rank: 1 }])).markup;
  expect([ranked.includes('class="s3"'), ranked.includes("hollow"), ranked.includes("Hollow")]).toEqual([
    true,
    false,
    false,
  ]);
  const both = costChart(boardOf([experimentOf(0), { rank: 1 }], [experimentOf(1)])).markup;
  expect(both.match(/<title>[^<]*not ranked<\/title><path class="s3 hollow"/g)).toHaveLength(1);
  expect(both).toContain("Hollow: not ranked");
});
