/* Places of values in a chart. */

export interface Scale {
  /** Of a value, in the chart's units. */
  at(value: number): number;
  /** Values that an axis names, evenly apart. */
  readonly ticks: readonly number[];
}

/** Below it a double has lost its precision, and halves may be 0. */
const SMALLEST = 1e-300;

/** A linear scale over values, of which those that are not finite do not count, with round ticks. */
export function linear(values: readonly number[], from: number, to: number, ticks = 5): Scale {
  const finite = values.filter(Number.isFinite);
  let low = finite.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  let high = finite.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (finite.length === 0) [low, high] = [0, 1];
  if (low === 0 && high === 0) high = 1; // on both sides of it, an axis of costs would have negative ones
  if (high / 2 - low / 2 === 0) {
    const tenth = Math.abs(low) * 0.1;
    const margin = tenth > SMALLEST ? tenth : 1;
    [low, high] = [Math.max(low - margin, -Number.MAX_VALUE), Math.min(high + margin, Number.MAX_VALUE)];
  }
  const half = high / 2 - low / 2; // halves, as the whole may be too large for a number
  return {
    at: (value) => round(from + Math.min(1, Math.max(0, (value / 2 - low / 2) / half)) * (to - from)),
    ticks: roundTicks(low, high, ticks),
  };
}

function roundTicks(low: number, high: number, count: number): number[] {
  const rough = (high / 2 - low / 2) * (2 / count);
  if (!Number.isFinite(rough) || rough <= 0) return [low, high];
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? rough;
  const first = Math.ceil(low / step);
  const last = Math.floor(high / step);
  if (!Number.isFinite(last - first) || last - first > 50) return [low, high];
  const ticks = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) =>
    Number(((first + index) * step).toPrecision(15)),
  );
  return [...new Set(ticks)];
}

/** Steps that an axis of time counts in, seconds. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600, 43_200, 86_400, 604_800];

/** Ticks of a span of time that begins at 0, in seconds. */
export function timeTicks(seconds: number, count = 6): number[] {
  const step = TIME_STEPS.find((one) => seconds / one <= count) ?? Math.ceil(seconds / count / 604_800) * 604_800;
  return Array.from({ length: Math.floor(seconds / step) + 1 }, (_, index) => index * step);
}

const round = (value: number): number => Math.round(value * 10) / 10;
