import { toLabel } from "../run-groups.ts";
import type { Params } from "../run-task.ts";
import { withoutSeeds } from "./seeds.ts";

/* Which experiment others are compared with, by what it is called. */

/** A description that only mentions a baseline, as "reward without baseline subtraction" or "baseline-free", names none. */
const CONTROL =
  /^\W*(?:(?:the|an?|unchanged|original|plain)\s+)*(?:control|baseline)(?:v?\d+)?(?![^\W_]|[- ]?(?:free|less)\b)/i;

/** What only tells one run of the control from another. A `+` belongs to no word: what follows it was added. */
const TELLING =
  /^(?:(?:v|version|seeds?|numbers?|nr|runs?|reruns?|repeats?|retry|again|jobs?|trials?|group|code|model|experiments?|date|unchanged|original|plain|reference|and|of|to)?\d*)$/i;
const BETWEEN_WORDS = /[^\p{L}\p{N}+]+/u;

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
 * Of measured experiments that are called nothing but a control the one with the most measurements, of equal ones the newest.
 * "baseline + dropout" is most often a change of one, and is the control only where there is none of those: then the oldest is,
 * with which a campaign began. A member of a matrix in which something else than the seed varies is none: its name is that of
 * all members.
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
  const isSwept = (one: ControlCandidate) => one.call !== null && (variants.get(taskOf(one))?.size ?? 0) > 1;
  const measured = named.filter((one) => one.n > 0 && !isSwept(one));
  const [newest, ...others] = measured.filter(isPlain);
  if (!newest) return measured.at(-1)?.group ?? null;
  return others.reduce((best, one) => (one.n > best.n ? one : best), newest).group;
}

/** Whether it is called nothing but a control. */
const isPlain = ({ description, params }: ControlCandidate): boolean =>
  toLabel(description, params)
    .replace(CONTROL, "")
    .split(BETWEEN_WORDS)
    .every((word) => TELLING.test(word));

const taskOf = ({ call, description, params }: ControlCandidate): string =>
  JSON.stringify([call, toLabel(description, params)]);
