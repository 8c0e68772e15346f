import { expect, test } from "bun:test";
import type { Metric } from "../../../src/core/job.ts";
import { withMetric } from "../../../src/core/metric-source.ts";
import type { MetricSource } from "../../../src/core/run-task.ts";

const ORDER: readonly MetricSource[] = ["reported", "output", "snapshot", "clean"];
const metric = (source: MetricSource, value: number): Metric => ({ value, source, at: "2026-01-01T00:00:00.000Z" });

test("what a job says of itself never replaces what was measured, and an equal or stronger source always does", () => {
  for (const [known, former] of ORDER.entries())
    for (const [given, source] of ORDER.entries()) {
      const after = withMetric(withMetric({}, "loss", metric(former, 1)), "loss", metric(source, 2));
      expect(after.loss?.value).toBe(given >= known ? 2 : 1);
    }
});

test("a metric may have the name of any property", () => {
  for (const name of ["__proto__", "constructor", "toString"]) {
    const after = withMetric(withMetric({}, "a", metric("clean", 1)), name, metric("output", 2));
    expect(Object.entries(after).map(([one, { value }]) => [one, value])).toEqual([
      ["a", 1],
      [name, 2],
    ]);
  }
});
