import type { Job } from "./job.ts";

type Kind = Job["state"]["kind"];

/** How many jobs are in each state, in the order in which the states were met. */
export type StateCounts = ReadonlyMap<Kind, number>;

export function countStates(jobs: readonly Pick<Job, "state">[]): StateCounts {
  const counts = { queued: 0, starting: 0, running: 0, interrupted: 0, completed: 0, failed: 0, cancelled: 0 };
  const met: Kind[] = [];
  for (const { state } of jobs) if (++counts[state.kind] === 1) met.push(state.kind);
  return new Map(met.map((kind) => [kind, counts[kind]]));
}

/** In the order of these states, and as they were met where two have the same place. */
export const inOrder = (counts: StateCounts, order: readonly Kind[]): StateCounts =>
  new Map([...counts].sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)));
