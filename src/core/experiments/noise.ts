import type { Direction, MetricValue } from "../run-task.ts";
import { toMetricValue, toNumber } from "../series.ts";

/*
 * Whether a difference between two experiments is one: all arithmetic of means, deviations, the noise floor and verdicts.
 *
 * - The deviation over seeds is the sample standard deviation, s² = Σ(x − mean)² / (n − 1).
 * - Of few seeds s is too small on average: its expectation is c4(n)·σ, where c4(n) = √(2/(n − 1))·Γ(n/2)/Γ((n − 1)/2)
 *   (NIST/SEMATECH e-Handbook of Statistical Methods, 6.3.2). The noise floor is s/c4(n): of two seeds 1.25·s, of
 *   three 1.13·s. Deviations of several experiments are pooled by their degrees of freedom, with c4 of all of them.
 * - Repeats that are all equal are no measurements of noise: what is measured does not use its seed, or is right or wrong in
 *   every case.
 * - Where everything was measured once, or repeats are all equal, the floor is 1.4826 times the median absolute deviation of the group, which for
 *   normal noise estimates σ and is not moved by a few outliers (Rousseeuw and Croux, "Alternatives to the Median Absolute
 *   Deviation", JASA 88, 1993). Where more than half of the group are equal that is 0, though the others differ: then it is
 *   √(π/2) times the mean absolute deviation, the usual fallback of the modified z-score (Iglewicz and Hoaglin, "How to
 *   Detect and Handle Outliers", 1993). Where all are equal, nothing is known of noise.
 * - The difference of two means has the standard error s·√(1/n + 1/m). It counts above as many of them as noise alone passes
 *   one time in twenty, which Student's t says by the degrees of freedom of s (Student, "The Probable Error of a Mean", 1908):
 *   of a control of three seeds 4.3, of ten 2.3. Two, as of a known σ, would be passed by noise one time in seven there.
 * - A floor from a group has the effects of the changes in it, so there one counts: between
 *   two single measurements that is 2.1 median absolute deviations, where pi-autoresearch calls a gain likely real at 2.
 *
 * A mean that is not finite measures nothing: it is behind every other.
 */

export interface Summary {
  readonly mean: MetricValue;
  /** Sample standard deviation; null for a single value, or where the mean is not finite. */
  readonly deviation: number | null;
  readonly n: number;
}

/** How far measurements of one thing lie apart: an estimate of their standard deviation. */
export interface NoiseFloor {
  readonly value: number;
  /** Measurements that it is from. */
  readonly n: number;
  readonly source: "seeds" | "group";
  /** Degrees of freedom of a deviation over seeds. */
  readonly freedom?: number | undefined;
  /** From the mean absolute deviation of the group, because their median is 0. */
  readonly isByMean?: true;
}

export type Verdict = "better" | "worse" | "noise";

const MEDIAN_TO_DEVIATION = 1.4826;
const MEAN_TO_DEVIATION = 1.2533;

/** Mean and deviation of values; null where there is none. */
export function summarize(values: readonly MetricValue[]): Summary | null {
  const n = values.length;
  if (n === 0) return null;
  const numbers = values.map(toNumber);
  const scale = scaleOf(numbers);
  if (scale === null) return { mean: toMetricValue(numbers.reduce((sum, value) => sum + value)), deviation: null, n };
  // Welford's updates: of equal values exactly their value and 0, and without loss where they differ little.
  let mean = 0;
  let squares = 0;
  numbers.forEach((value, index) => {
    const scaled = value / scale;
    const distance = scaled - mean;
    mean += distance / (index + 1);
    squares += distance * (scaled - mean);
  });
  const within = Math.min(Math.max(mean * scale, Math.min(...numbers)), Math.max(...numbers));
  return { mean: within, deviation: n === 1 ? null : Math.sqrt(Math.max(0, squares) / (n - 1)) * scale, n };
}

/** What to divide by so that squares neither overflow nor vanish; null where a value is not finite. */
function scaleOf(numbers: readonly number[]): number | null {
  const largest = Math.max(...numbers.map(Math.abs));
  if (!Number.isFinite(largest)) return null;
  return largest > 1e100 || (largest > 0 && largest < 1e-100) ? largest : 1;
}

/** Where the floor can be taken from, best first; null where nothing is known of it. */
export function noiseFloor(from: {
  /** The experiment that others are compared with; null = there is none. */
  readonly control: Summary | null;
  /** All that are compared. */
  readonly group: readonly Summary[];
}): NoiseFloor | null {
  const own = pooled(from.control === null ? [] : [from.control]);
  // A control may not vary while what was made of it does: it fails every time, or does not use its seed.
  return own ?? pooled(from.group) ?? ofGroup(from.group);
}

/** Whether something was measured more than once, and always with the same result: that tells nothing of noise. */
export function areRepeatsEqual(group: readonly Summary[]): boolean {
  const repeated = group.filter(({ deviation }) => deviation !== null);
  return repeated.length > 0 && repeated.every(({ deviation }) => deviation === 0);
}

/** null where nothing was measured twice, or all repeats are equal. */
function pooled(summaries: readonly Summary[]): NoiseFloor | null {
  const repeated = summaries.flatMap(({ deviation, n }) => (deviation ? [{ deviation, n }] : []));
  const freedom = repeated.reduce((sum, { n }) => sum + n - 1, 0);
  if (freedom === 0) return null;
  const largest = Math.max(...repeated.map(({ deviation }) => deviation));
  const variance = repeated.reduce((sum, one) => sum + (one.n - 1) * (one.deviation / largest) ** 2, 0) / freedom;
  const value = (Math.sqrt(variance) * largest) / c4(freedom + 1);
  return Number.isFinite(value) && value > 0
    ? { value, n: repeated.reduce((sum, { n }) => sum + n, 0), source: "seeds", freedom }
    : null;
}

/** Expected sample deviation of n values with a standard deviation of 1. */
export function c4(n: number): number {
  if (n > 300) return 1 - 1 / (4 * (n - 1)); // the product below would lose digits
  // Γ(n/2)/Γ((n − 1)/2) by Γ(x + 1) = x·Γ(x), from n = 2 on: Γ(1)/Γ(1/2) = 1/√π, and from n = 3 on: Γ(3/2)/Γ(1) = √π/2.
  let quotient = n % 2 === 0 ? 1 / Math.sqrt(Math.PI) : Math.sqrt(Math.PI) / 2;
  for (let one = n % 2 === 0 ? 4 : 5; one <= n; one += 2) quotient *= (one - 2) / (one - 3);
  return Math.sqrt(2 / (n - 1)) * quotient;
}

function ofGroup(group: readonly Summary[]): NoiseFloor | null {
  const means = group.map(({ mean }) => toNumber(mean)).filter(Number.isFinite);
  if (means.length < 2) return null;
  const middle = median(means);
  const deviations = means.map((mean) => Math.abs(mean - middle));
  const byMedian = MEDIAN_TO_DEVIATION * median(deviations);
  const byMean = (MEAN_TO_DEVIATION * deviations.reduce((sum, one) => sum + one)) / means.length;
  const value = byMedian > 0 ? byMedian : byMean;
  if (!Number.isFinite(value) || value === 0) return null;
  return { value, n: means.length, source: "group", ...(byMedian === 0 && { isByMean: true }) };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const above = sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
  const below = sorted[Math.ceil(sorted.length / 2) - 1] ?? Number.NaN;
  return below + (above - below) / 2;
}

/**
 * The largest difference between the means of n and m measurements that may be noise. A floor from a group is one of means,
 * and where there are repeats nevertheless, these are equal and count once.
 */
export const leastDifference = ({ value, freedom }: NoiseFloor, n: number, m: number): number =>
  freedom === undefined ? value * Math.SQRT2 : studentT(freedom) * c4(freedom + 1) * value * Math.sqrt(1 / n + 1 / m);

/** The t between whose minus and plus 95 % of the distribution lie, for 1 degree of freedom, 2, 3 and so on. */
const STUDENT_T = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
/** The same for the normal distribution, which they approach. */
const NORMAL = 1.959964;

/** Beyond the table by the first terms of the Cornish-Fisher expansion, to three digits. */
export function studentT(freedom: number): number {
  const z = NORMAL;
  const first = (z ** 3 + z) / 4;
  const second = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96;
  return STUDENT_T[freedom - 1] ?? z + first / freedom + second / freedom ** 2;
}

/**
 * Whether an experiment does better than another one.
 * @param reference null = there is nothing to compare with
 * @returns null where that cannot be told
 */
export function verdict(
  experiment: Summary,
  reference: Summary | null,
  direction: Direction,
  noise: NoiseFloor | null,
): Verdict | null {
  if (reference === null) return null;
  const [mean, other] = [toNumber(experiment.mean), toNumber(reference.mean)];
  if (!Number.isFinite(mean)) return Number.isFinite(other) ? "worse" : null; // what fails alike is not worse
  if (!Number.isFinite(other)) return "better";
  if (noise === null) return null;
  if (Math.abs(mean - other) <= leastDifference(noise, experiment.n, reference.n)) return "noise";
  return mean < other === (direction === "min") ? "better" : "worse";
}

/** Below 0 where `a` ranks before `b`. Means that are not finite come last. */
export function compareMeans(a: MetricValue, b: MetricValue, direction: Direction): number {
  const [one, other] = [toNumber(a), toNumber(b)];
  const areFinite = [Number.isFinite(one), Number.isFinite(other)];
  if (!areFinite[0] || !areFinite[1]) return Number(areFinite[1]) - Number(areFinite[0]);
  return direction === "min" ? one - other : other - one;
}
