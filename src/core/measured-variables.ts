import { oneLine } from "../shared/plain-text.ts";
import type { Job } from "./job.ts";
import type { Params } from "./run-task.ts";

/** The measurement's own variable. */
const SEED = "SEED";
const NAMES_LIMIT = 300;

/**
 * The variables that a measurement of a job has besides its seed: those of the job, if it is a run. Not those that an
 * agent inside a job chose: with them it would reach into the measurement.
 */
export function variablesFor({ id, task, startedBy }: Job): {
  readonly given: Params;
  readonly notes: readonly string[];
} {
  const entries = Object.entries(task.run?.params ?? {}).filter(([name]) => name !== SEED);
  if (entries.length === 0 || startedBy === null) return { given: Object.fromEntries(entries), notes: [] };
  const names = oneLine(entries.map(([name]) => name).join(", "), NAMES_LIMIT);
  return {
    given: {},
    notes: [
      `The variables of ${id} (${names}) are not given to the measurement, because an agent inside a job chose them.`,
    ],
  };
}
