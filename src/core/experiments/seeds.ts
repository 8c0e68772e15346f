import type { Params } from "../run-task.ts";

/*
 * Runs that differ in their seed alone are one experiment, measured several times. A parameter is a seed by its name.
 */

const SEED = /(^|[_-])(rng_?)?seed$/i;

export const isSeed = (name: string): boolean => SEED.test(name);

/** The parameters by name, without the seeds. */
export const withoutSeeds = (params: Params): [string, string | number][] =>
  sorted(params).filter(([name]) => !isSeed(name));

/** The values of all seeds as one text; null where there are none. */
export function seedOf(params: Params): string | null {
  const seeds = sorted(params).filter(([name]) => isSeed(name));
  return seeds.length === 0 ? null : seeds.map(([, value]) => String(value)).join(" ");
}

/** By name, so that the order in which they were given makes no difference. */
export const sorted = (params: Params): [string, string | number][] =>
  Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1));
