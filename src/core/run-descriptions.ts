import { oneLine } from "../shared/plain-text.ts";
import { describeParams, type Matrix } from "./matrix.ts";
import type { Params } from "./run-task.ts";
import { DESCRIPTION_LIMIT } from "./task.ts";
import { type Shorten, shortener, type ToldApart, toldApart } from "./told-apart.ts";

/** The runs that one call asks for, by what tells them apart: their values and their tasks' descriptions. */
export interface RunsOfCall {
  readonly apart: ToldApart;
  readonly shorten: Shorten;
}

/** Characters of the values that tell a run apart. */
const VALUES_LIMIT = 60;

/** @param tasks those of the call that are commands */
export const runsOfCall = (
  tasks: readonly { readonly description: string; readonly matrix?: Matrix | undefined }[],
): RunsOfCall => ({
  apart: toldApart(tasks.map(({ matrix = {} }) => matrix)),
  shorten: shortener(tasks.map(({ description }) => oneLine(description))),
});

/**
 * Describes each of a task's runs: the task's own description, then in parentheses the values that differ from the other runs
 * of the call. Values that all runs share follow where there is room.
 * @param all the combinations of its matrix, the names that differ first
 */
export function describeRuns(description: string, all: readonly Params[], { apart, shorten }: RunsOfCall): string[] {
  const values = all.map((params) => apart.describe(params, VALUES_LIMIT));
  const longest = Math.max(...values.map((text) => [...text].length));
  const label = shorten(oneLine(description), DESCRIPTION_LIMIT - (longest === 0 ? 0 : longest + 3)) || "run";
  let left = DESCRIPTION_LIMIT - label.length - 3 - longest;
  const rest: string[] = [];
  for (const [name, value] of Object.entries(all[0] ?? {})) {
    if (!Object.hasOwn(apart.common, name)) continue;
    const text = describeParams({ [name]: value });
    left -= text.length + (longest === 0 && rest.length === 0 ? 0 : 2);
    if (left < 0) break;
    rest.push(text);
  }
  return values.map((own) => {
    const told = [own, ...rest].filter((text) => text !== "").join(", ");
    return told === "" ? label : `${label} (${told})`;
  });
}
