import { expect, test } from "bun:test";
import { JobSeries, type SeriesRecord } from "../../../src/core/series.ts";
import { toTrackedRun } from "../../../src/export/runs.ts";
import { type SentRun, unsent, withSent } from "../../../src/export/sent.ts";
import { experimentOf } from "../../support/experiments.ts";

test("values of a job whose clock is set back between two exports are sent, in the order in which they came", () => {
  const series = new JobSeries();
  const row = { experiment: { ...experimentOf(1), results: [] }, session: "ses_1", branch: null, measured: [] };
  const run = () => toTrackedRun(row, () => new Map([["loss", series.record("loss") as SeriesRecord]]));
  let sent: SentRun = { id: "run", newest: {}, state: "" };
  const told: unknown[] = [];
  for (const moments of [[5_000, 6_000], [2_000], [2_500, 3_000], [7_000], []]) {
    for (const at of moments) series.add({ name: "loss", value: at, at, source: "output" });
    const values = unsent(run(), sent);
    told.push(values.map(({ value }) => value));
    sent = withSent(sent, values);
  }
  expect(told).toEqual([[5_000, 6_000], [2_000], [2_500, 3_000], [7_000], []]);
});
