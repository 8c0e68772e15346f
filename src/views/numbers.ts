import type { MetricValue } from "../core/run-task.ts";
import type { NotFinite } from "../core/series.ts";
import { digitsNearWhole } from "../shared/near-whole.ts";
import type { ExperimentView } from "./experiment-view.ts";

/* How numbers of experiments are written, for models and for people. */

/** Significant digits of a metric's value. */
const USUAL_DIGITS = 6;
/** More than these a double does not have. */
const MOST_DIGITS = 15;
/** Digits of a difference that its two numbers must show. */
const DIGITS_OF_DIFFERENCE = 2;

/** With so many significant digits, and no more zeros than needed. */
export const formatNumber = (value: number, digits: number): string => String(Number(value.toPrecision(digits)));

/** With few digits, as more would be noise; those before the decimal point are kept all the same. */
export const signed = (change: number): string => `${change > 0 ? "+" : ""}${formatValue(change, 3)}`;

/**
 * No digit before the decimal point is rounded away: 12345678 tokens are not 12345700.
 * @param least significant digits that are shown where there are as many
 */
export function formatValue(value: MetricValue, least = USUAL_DIGITS): string {
  if (typeof value !== "number") return value;
  if (Number.isSafeInteger(value)) return String(value);
  return formatNumber(value, Math.min(Math.max(digitsNearWhole(value, least), wholeDigits(value)), MOST_DIGITS));
}

/** How many values of a series were not finite, such as "2 NaN, 1 Infinity"; "" = none. */
export const formatNotFinite = (counts: NotFinite): string =>
  Object.entries(counts)
    .map(([value, count]) => `${count} ${value}`)
    .join(", ");

/** A mean and its deviation, with enough digits to see that, and to tell it from the means that it is compared with. */
export function formatMean({
  mean,
  deviation,
  deltaParent = 0,
  deltaBest = 0,
  deltaNext = 0,
}: Pick<ExperimentView, "mean" | "deviation" | "deltaParent" | "deltaBest" | "deltaNext">): string {
  const changes = [deltaParent, deltaBest, deltaNext, deviation ?? 0];
  const needed = changes.map((change) => digitsFor(Number(mean), change));
  const shown = formatValue(mean, Math.max(USUAL_DIGITS, ...needed));
  return deviation === undefined ? shown : `${shown} ± ${formatNumber(deviation, 2)}`;
}

/** Digits of `value` in which a number that differs by `change` is another one. */
const digitsFor = (value: number, change: number): number =>
  value === 0 || change === 0 || !Number.isFinite(value)
    ? 0
    : magnitude(value) - magnitude(change) + DIGITS_OF_DIFFERENCE;

/** Digits before the decimal point; 0 where there are too many to be known exactly. */
const wholeDigits = (value: number): number => (Math.abs(value) >= 10 ** MOST_DIGITS ? 0 : magnitude(value) + 1);

const magnitude = (value: number): number => Math.floor(Math.log10(Math.abs(value)));
