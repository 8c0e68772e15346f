/** Digits of the distance to a whole number that are shown. */
const DIGITS_OF_DISTANCE = 2;
/** More than these a double does not have. */
const MOST_DIGITS = 15;
/** Whole numbers that are told from what is close to them: beyond, nothing converges. */
const LARGEST_WHOLE = 100;

/**
 * Significant digits with which a number that is close to 1 or to 100 does not look like it: 0.99999998 is not 1.
 * @param usual how many are shown of others
 */
export function digitsNearWhole(value: number, usual: number): number {
  const rounded = Number(value.toPrecision(usual));
  if (rounded === value || !Number.isInteger(rounded) || Math.abs(rounded) > LARGEST_WHOLE) return usual;
  const needed = magnitude(rounded) - magnitude(value - rounded) + DIGITS_OF_DISTANCE;
  return Math.min(Math.max(usual, needed), MOST_DIGITS);
}

const magnitude = (value: number): number => Math.floor(Math.log10(Math.abs(value)));
