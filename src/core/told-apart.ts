import { oneLine } from "../shared/plain-text.ts";
import { type Matrix, shownValue } from "./matrix.ts";
import type { Params } from "./run-task.ts";

/*
 * What tells the runs of a list apart, where there is little room: the values that differ between them, and of long values
 * the place where they differ.
 */

export interface ToldApart {
  /** Values that all of them have. */
  readonly common: Params;
  /** "LR=0.1, SEED=2": what one of them has besides, in at most `max` characters. */
  describe(params: Params, max: number, separator?: string): string;
}

/** Of a name or a value that has to be shortened, characters that are left at least. */
const SHORTEST = 8;
const LONGEST_NAME = 64;

/** @param matrices of the tasks whose runs are listed; a single run is told by all of its values */
export function toldApart(matrices: readonly Matrix[]): ToldApart {
  const seen = new Map<string, { readonly values: Set<string | number>; tasks: number }>();
  for (const matrix of matrices)
    for (const [name, values] of Object.entries(matrix)) {
      const one = seen.get(name) ?? { values: new Set(), tasks: 0 };
      seen.set(name, one);
      for (const value of values) one.values.add(value);
      one.tasks++;
    }
  const alike = [...seen].filter(([, { values, tasks }]) => values.size === 1 && tasks === matrices.length);
  const isOneRun = matrices.length === 1 && alike.length === seen.size;
  const common = Object.fromEntries(isOneRun ? [] : alike.map(([name, { values }]) => [name, [...values][0] ?? ""]));
  const shorteners = new Map<string, Shorten>();

  function shortenerOf(name: string): Shorten {
    const known = shorteners.get(name) ?? shortener([...(seen.get(name)?.values ?? [])].map(shownValue));
    shorteners.set(name, known);
    return known;
  }

  return {
    common,
    describe(params, max, separator = ", ") {
      const told = Object.entries(params)
        .filter(([name]) => !Object.hasOwn(common, name))
        .map(([name, value]) => ({ name, shown: oneLine(name, LONGEST_NAME), value: shownValue(value) }));
      const others = told.reduce((sum, { shown }) => sum + shown.length + 1 + separator.length, -separator.length);
      const most = mostOfEach(told.map(({ value }) => value.length), max - others); // biome-ignore format: one line
      const texts = told.map(({ name, shown, value }) => `${shown}=${shortenerOf(name)(value, most)}`);
      return oneLine(texts.join(separator), max);
    },
  };
}

export const paramsApart = (all: readonly Params[]): ToldApart =>
  toldApart(all.map((params) => Object.fromEntries(Object.entries(params).map(([name, value]) => [name, [value]]))));

/** A matrix with the names first that tell its runs from others. The order of its combinations stays. */
export function tellingFirst(matrix: Matrix, { common }: Pick<ToldApart, "common">): Matrix {
  const entries = Object.entries(matrix);
  const isCommon = ([name]: readonly [string, unknown]) => Object.hasOwn(common, name);
  return Object.fromEntries([...entries.filter((one) => !isCommon(one)), ...entries.filter(isCommon)]);
}

/** How many characters each of some texts may have, so that together they have at most `room`: short ones are not cut for long ones. */
function mostOfEach(lengths: readonly number[], room: number): number {
  let [left, texts] = [room, lengths.length];
  for (const length of [...lengths].sort((a, b) => a - b)) {
    if (length * texts > left) return Math.max(SHORTEST, Math.floor(left / texts));
    left -= length;
    texts--;
  }
  return Number.POSITIVE_INFINITY;
}

export type Shorten = (text: string, max: number) => string;

/** Shortens texts on one line, each around the place where it differs from the one that is most like it. */
export function shortener(texts: readonly string[]): Shorten {
  const places = new Map<string, number>();
  const sorted = [...new Set(texts)].sort();
  for (const [index, text] of sorted.entries()) {
    const next = sorted[index + 1];
    const alike = next === undefined ? 0 : commonLength(text, next);
    places.set(text, Math.max(places.get(text) ?? 0, alike));
    if (next !== undefined) places.set(next, alike);
  }
  return (text, max) => {
    const characters = [...text];
    if (characters.length <= max) return text;
    const place = [...text.slice(0, places.get(text) ?? 0)].length;
    if (place < max - 1) return oneLine(text, max);
    const head = Math.floor((max - 1) / 3);
    const tail = max - 1 - head;
    const from = Math.min(place - Math.floor(tail / 3), characters.length - tail);
    const rest = characters.slice(from).join("");
    return `${characters.slice(0, head).join("")}…${oneLine(rest, tail)}`;
  };
}

function commonLength(a: string, b: string): number {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
