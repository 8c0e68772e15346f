import { decideStops, type Entrant, highestRung } from "../../../src/core/early-stopping.ts";
import type { Stopped, StopRule } from "../../../src/core/run-task.ts";
import { type Point, toMetricValue } from "../../../src/core/series.ts";

/** A run's values at the steps 1, 2, 3 … */
export type Curve = readonly number[];

export interface Outcome {
  readonly stopped: ReadonlyMap<string, Stopped>;
  /** Steps that were taken, of all runs together. */
  readonly steps: number;
  /** Of each run. */
  readonly taken: ReadonlyMap<string, number>;
}

export const pointsOf = (values: Curve): Point[] =>
  values.map((value, i) => ({ value: toMetricValue(value), step: i + 1, at: 0, report: i + 1, source: "output" }));

/**
 * Plays runs against each other.
 * @param turns which run takes its next step, by its number among the runs that have not ended; in turn, once it is empty
 * @param slots runs that go on at once; the next one begins when one of them ends
 */
export function playRuns(
  rule: StopRule,
  curves: readonly Curve[],
  { turns = [], slots = curves.length }: { readonly turns?: readonly number[]; readonly slots?: number } = {},
): Outcome {
  const runs = curves.map((curve, i) => ({ id: `run ${i}`, curve, taken: 0, passed: null as number | null }));
  const stopped = new Map<string, Stopped>();
  const isOpen = ({ id, curve, taken }: (typeof runs)[number]) => !stopped.has(id) && taken < curve.length;
  const points = curves.map(pointsOf);
  for (let turn = 0; ; turn++) {
    const open = runs.filter(isOpen).slice(0, slots);
    const next = open[(turns[turn] ?? turn) % open.length];
    if (!next) break;
    next.taken++;
    const entrants = runs.map(
      (run, i): Entrant => ({
        id: run.id,
        points: (points[i] ?? []).slice(0, run.taken),
        isRunning: isOpen(run),
        stoppedAt: stopped.get(run.id)?.rung ?? null,
        passed: run.passed,
      }),
    );
    const reached = entrants.find(({ id }) => id === next.id)?.points ?? [];
    if (highestRung(reached, rule) === next.passed) continue; // nothing new to judge
    for (const [id, how] of decideStops(rule, entrants)) stopped.set(id, how);
    for (const [i, run] of runs.entries())
      if (!stopped.has(run.id)) run.passed = highestRung((points[i] ?? []).slice(0, run.taken), rule);
  }
  const taken = new Map(runs.map((run) => [run.id, run.taken]));
  return { stopped, taken, steps: [...taken.values()].reduce((sum, n) => sum + n, 0) };
}
