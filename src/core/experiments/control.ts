import { toLabel } from "../run-groups.ts";
import type { Params } from "../run-task.ts";
import { withoutSeeds } from "./seeds.ts";

/* Which experiment others are compared with, by what it is called. */

/** A description that only mentions a baseline, as "reward without baseline subtraction", names none. */
const CONTROL = /^\W*(?:(?:the|an?|unchanged|original|plain)\s+)*(?:control|baseline)\b/i;

/** Whether a job is called a control. @param params all that its description has at its end */
export const isControlName = (description: string, params: Params): boolean =>
  CONTROL.test(toLabel(description, params));

/** A job of an experiment that may be the control. */
export interface ControlCandidate {
  readonly group: string;
  readonly description: string;
  readonly params: Params;
  /** Names the call that started it; null = not known. */
  readonly call: string | null;
  /** Measurements of the experiment. */
  readonly n: number;
}

/**
 * Of experiments that are called a control the one with the most measurements, of equal ones the newest. A member of a
 * matrix in which something else than the seed varies is none: its name is that of all members.
 * @param candidates newest first
 * @returns its group; null where there is none
 */
export function chooseControl(candidates: readonly ControlCandidate[]): string | null {
  const named = candidates.filter(({ description, params }) => isControlName(description, params));
  const variants = new Map<string, Set<string>>();
  for (const one of named) {
    const key = taskOf(one);
    variants.set(key, (variants.get(key) ?? new Set()).add(JSON.stringify(withoutSeeds(one.params))));
  }
  let best: ControlCandidate | null = null;
  for (const one of named) {
    const isSwept = one.call !== null && (variants.get(taskOf(one))?.size ?? 0) > 1;
    if (!isSwept && (best === null || one.n > best.n)) best = one;
  }
  return best?.group ?? null;
}

const taskOf = ({ call, description, params }: ControlCandidate): string =>
  JSON.stringify([call, toLabel(description, params)]);
