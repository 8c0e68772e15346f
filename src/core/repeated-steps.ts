import type { PrintedMetric } from "./metric-line.ts";
import type { MetricValue } from "./run-task.ts";
import { MOST_METRICS } from "./series.ts";

/** Steps at which a metric was printed with several values: the first of them, two of its values, and how many there were. */
export interface RepeatedStep {
  readonly step: number;
  readonly values: readonly [MetricValue, MetricValue];
  readonly count: number;
}

/** Finds metrics that come with several values at one step, one after the other, as where each of several processes prints its own. */
export class RepeatedSteps {
  /** By metric. */
  readonly found = new Map<string, RepeatedStep>();
  readonly #newest = new Map<string, { readonly step: number; readonly value: MetricValue; isRepeated: boolean }>();

  note(metrics: readonly PrintedMetric[]): void {
    for (const { name, value, step } of metrics) {
      const newest = this.#newest.get(name);
      if (step === undefined || (!newest && this.#newest.size === MOST_METRICS)) continue;
      if (newest?.step !== step) this.#newest.set(name, { step, value, isRepeated: false });
      else if (newest.value !== value && !newest.isRepeated) {
        newest.isRepeated = true;
        const first = this.found.get(name) ?? { step, values: [newest.value, value], count: 0 };
        this.found.set(name, { ...first, count: first.count + 1 });
      }
    }
  }
}
