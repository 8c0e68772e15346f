/** Numbers of a range as places on the page, in a straight line. */
export interface Scale {
  (value: number): number;
  /** Round numbers within the range. */
  readonly ticks: readonly number[];
}

type Range = readonly [from: number, to: number];

/** @param wanted ticks, about @param isNice whether the range is widened to the round numbers around it */
export function toScale(range: Range, places: Range, wanted: number, isNice = false): Scale {
  const [low, high] = apart(range);
  const step = roundStep((high - low) / wanted);
  const [from, to] = isNice ? [Math.floor(low / step) * step, Math.ceil(high / step) * step] : [low, high];
  const scale = (value: number) => places[0] + ((bounded(value) - from) / (to - from)) * (places[1] - places[0]);
  return Object.assign(scale, { ticks: multiples(from, to, step) });
}

/** Larger numbers are drawn at its place: differences of them may be too large for a number. */
const LARGEST = 1e307;
const bounded = (value: number): number => Math.min(LARGEST, Math.max(-LARGEST, value));

/** A range that is wide enough to be divided. */
function apart(range: Range): Range {
  const [low, high] = [bounded(range[0]), bounded(range[1])];
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low > 1e-12 * size && high - low > Number.MIN_VALUE * 1e15) return [low, high];
  const room = Math.max(high - low, size < 1e9 ? 1 : size / 10);
  return [low - room, low + room];
}

/** 1, 2 or 5 times a power of ten. */
function roundStep(size: number): number {
  const power = 10 ** Math.floor(Math.log10(size));
  const share = size / power;
  return power * (share < 1.5 ? 1 : share < 3.5 ? 2 : share < 7.5 ? 5 : 10);
}

/** Multiples of `step` within the range; none where they are too fine for numbers of this size. */
function multiples(from: number, to: number, step: number, offset = 0): number[] {
  const first = Math.ceil((from - offset) / step - 1e-9);
  const count = Math.floor((to - offset) / step + 1e-9) - first + 1;
  if (!(count > 0 && count < 1_000)) return [];
  // Divided where the step is a fraction, so that 3 steps of 0.1 are 0.3.
  const inverse = 1 / step;
  const times = (n: number) => (step < 1 && Number.isInteger(Math.round(inverse)) ? n / Math.round(inverse) : n * step);
  return Array.from({ length: count }, (_, index) => times(first + index) + offset + 0);
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const TIME_STEPS = [
  ...[SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND],
  ...[MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE],
  ...[HOUR, 2 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY, 365 * DAY],
];

/**
 * Round times within a span.
 * @param offset of the user's clock from UTC, ms: where a day is the step, it begins at his midnight
 */
export function timeTicks(from: number, to: number, wanted: number, offset: number): { at: number; isDay: boolean }[] {
  const step = TIME_STEPS.find((size) => (to - from) / size <= wanted) ?? (TIME_STEPS.at(-1) as number);
  return multiples(from, to, step, -offset).map((at) => ({ at, isDay: step >= DAY }));
}

type Place = readonly [x: number, y: number];

/** Units below which the width of a line is not seen. */
const SEEN = 4;

/** The path of dots at both ends of whatever of a line is too narrow to be seen, as of a single point. */
export function toDots(points: readonly (Place | null)[]): string {
  let path = "";
  let first: Place | null = null;
  for (const [index, point] of points.entries()) {
    if (!point) first = null;
    else {
      first ??= point;
      const isLast = !points[index + 1];
      if (isLast && Math.abs(point[0] - first[0]) < SEEN)
        for (const [x, y] of new Set([first, point])) path += `M${round(x)},${round(y)}h0`;
    }
  }
  return path;
}

/** The path of an SVG line through points; where there is none, it begins anew. */
export function toPath(points: Iterable<Place | null>): string {
  let path = "";
  let isDown = false;
  for (const point of points) {
    if (point) path += `${isDown ? "L" : "M"}${round(point[0])},${round(point[1])}`;
    isDown = point !== null;
  }
  return path;
}

/** The same in steps: level until the next point. */
export const toSteps = (points: readonly Place[]): string =>
  points.map(([x, y], index) => (index === 0 ? `M${round(x)},${round(y)}` : `H${round(x)}V${round(y)}`)).join("");

const round = (place: number): number => Math.round(place * 10) / 10;
