import type { MetricValue } from "./run-task.ts";

/** A number in a text, and the index of the character behind it. */
export interface FoundNumber {
  /** null: a number begins there, but it is not certain which one is meant. */
  readonly value: MetricValue | null;
  readonly end: number;
  /** Whether commas surely group its digits. */
  readonly groupsDigits?: true;
  /** What it is if its comma groups digits, and is no decimal point. */
  readonly ifGrouped?: number;
  /** What it counts, such as `ms`, where that stands behind it. */
  readonly unit?: string;
}

/** A number with more characters is not read. */
const LONGEST = 400;

const WORD = /([+-]?)(?:(nan)(?:\([a-z]*\))?|infinity|inf)(?![\p{L}\p{N}_])/iuy;
/** `12,345` alone is not certain: in many countries it is a decimal fraction. */
const GROUPED = /[+-]?[1-9]\d{0,2}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})/y;
const MAYBE_GROUPED = /[+-]?[1-9]\d{0,2},\d{3}(?![.:,-]?\d|[_#])/y;
/** Fortran writes `1.5D+03`. */
const DIGITS = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+|[dD][+-]\d+)?/y;
/**
 * What follows shows that the digits are something else: 1.2.3, 12:30, 0,5, 2026-01-02, 1_000, 0x1F, 1.#INF, 1'234, 1\u202f234,
 * 1.5 × 10⁻³ and 1.5x10^-3.
 */
const MORE =
  /(?:[.:,-]?\d|_|#|[xX][\da-fA-F]|['\u2019\u00a0\u2009\u202f]\d{3}(?!\d)|[ \t]?[×xX*·⋅][ \t]?10(?:\^|\*\*|[⁻⁰¹²³⁴-⁹]))/y;
/** A minus sign as typesetters write it, of the number or of its exponent. */
const MINUS = /(?<=^|[\d.][eEdD])\u2212/g;
/** In a list such as `0.5,0.7` the first number is plain. */
const LISTED = /,[+-]?[\d.]/y;
/** In many countries `1.234,56` is 1234.56. */
const MAYBE_LOCAL = /[+-]?[1-9]\d{0,2}\.\d{3},\d+(?![\d.])/y;

/**
 * Reads the number that begins at `at`, in the notations in which programs print numbers: `-1.5`, `+.5`, `1.`, `1e-3`,
 * `12,345.6`, `nan`, `inf`, `-Infinity`.
 * @returns null where none begins
 */
export function readNumber(text: string, at: number): FoundNumber | null {
  const start = text.slice(at, at + LONGEST + 8).replace(MINUS, "-");
  const word = matchAt(WORD, start, 0);
  if (word) return { value: word[2] ? "NaN" : word[1] === "-" ? "-Infinity" : "Infinity", end: at + word[0].length };
  const grouped = matchAt(GROUPED, start, 0);
  const digits = (grouped ?? matchAt(DIGITS, start, 0))?.[0];
  if (digits === undefined) return null;
  const end = at + digits.length;
  const isListed =
    digits.includes(".") && matchAt(LISTED, start, digits.length) !== null && !matchAt(MAYBE_LOCAL, start, 0);
  if (digits.length > LONGEST) return { value: null, end };
  if (!isListed && matchAt(MORE, start, digits.length)) {
    const maybe = matchAt(MAYBE_GROUPED, start, 0)?.[0];
    if (maybe === undefined) return { value: null, end };
    return { value: null, end: at + maybe.length, ifGrouped: withoutCommas(maybe) };
  }
  const value = withoutCommas(digits);
  if (Number.isFinite(value)) return grouped ? { value, end, groupsDigits: true } : { value, end };
  return { value: value < 0 ? "-Infinity" : "Infinity", end }; // beyond the range of doubles, e.g. 1e999
}

const withoutCommas = (digits: string): number => 0 + Number(digits.replaceAll(",", "").replace(/d/i, "e"));

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
