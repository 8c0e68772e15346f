import type { FoundNumber } from "./metric-number.ts";

/** Letters directly behind a number. Those of `3rd` are no unit. */
const ATTACHED = /(?!(?:st|nd|rd|th)\b)\p{L}+(?:\/\p{L}+)?/uy;
/** Units that programs change with the size of the number, also behind a space. */
const SCALED = "(?:[kKMGTP]i?)?B|[num\u00b5\u03bc]?s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?";
const SPACED = new RegExp(`[ \\t](?:${SCALED}|[kKMGT])(?:/\\p{L}+)?(?![\\p{L}\\p{N}_:=(.])`, "uy");
/** A single letter behind a space names the next column where a number follows: `D 0.69 G 0.70`, but not `1.2 s loss: 0.5`. */
const COLUMN = /[ \t]\p{L}(?=[ \t]+[+-]?\.?\d)/uy;
const IS_SCALED = new RegExp(`^(?:${SCALED}|[kKMGT]\\p{L}+)(?:/|$)`, "u");
/** `2m30s`, `1 hour and 5 minutes` and `1 day, 4:55:28` go on with a smaller unit, unlike `1.2ms 3.4ms` and `1s 12ms/step`. */
const GOES_ON =
  /(?:,?[ \t](?:and[ \t])?)?\d+(?:\.\d+)?(?:[ \t]?(hrs?|hours?|h|mins?|minutes?|m|secs?|seconds?|s|ms)(?![\p{L}/])|(?=(:)\d\d))/uy;
const FROM_LARGEST = [/^d(?:ays?)?$/, /^h(?:(?:ou)?rs?)?$/, /^m(?:in(?:ute)?s?)?$/, /^s(?:ec(?:ond)?s?)?$/, /^ms$/];
const POWERS: Readonly<Record<string, number>> = { k: 3, K: 3, M: 6, G: 9, T: 12 };

/**
 * A number with the unit behind it, as in `12.5ms` and `1.2 GiB`. `1.02K` is 1020.
 * @param line where the number stands
 */
export function withUnit(number: FoundNumber, line: string): FoundNumber {
  const spaced = () => (matchAt(COLUMN, line, number.end) ? undefined : matchAt(SPACED, line, number.end)?.[0]);
  const behind = matchAt(ATTACHED, line, number.end)?.[0] ?? spaced();
  if (!behind) return number;
  const unit = behind.trim();
  const end = number.end + behind.length;
  if (Number.isInteger(number.value) && goesOn(unit, matchAt(GOES_ON, line, end))) return { value: null, end };
  const power = /^[kKMGT](?:\/|$)/.test(unit) ? POWERS[unit.charAt(0)] : undefined;
  if (power === undefined) return { ...number, unit };
  const { value, ifGrouped, ...rest } = number;
  return {
    ...rest,
    value: typeof value === "number" ? times(value, power) : value,
    ...(ifGrouped !== undefined && { ifGrouped: times(ifGrouped, power) }),
  };
}

function goesOn(unit: string, rest: RegExpExecArray | null): boolean {
  const next = rest?.[1] ?? (rest?.[2] && "h"); // the hours of a clock
  return next !== undefined && rankOf(unit) >= 0 && rankOf(unit) < rankOf(next);
}

const rankOf = (unit: string): number => FROM_LARGEST.findIndex((names) => names.test(unit));

/** Whether a program may print another unit where the number is larger or smaller. */
export const isScaled = (unit: string): boolean => IS_SCALED.test(unit);

/** Without the error of a multiplication: 1.1 × 10⁶ is 1100000. */
function times(value: number, power: number): number {
  const exact = Number(`${value}e${power}`);
  return Number.isNaN(exact) ? value * 10 ** power : exact;
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
