import type { Job } from "./job.ts";
import { MOST_ATTEMPTS } from "./sandbox-loss.ts";

/** What a run is about to do: its command begins, begins anew because it was stopped, begins once more, or may not begin again. */
export type RunStart = "first" | "anew" | "again" | "over";

export interface RunStartFacts {
  /** What `attempts` was when this execution took the run up: where the try does not say, as an earlier version wrote it. */
  readonly attemptsBefore: number;
  /** Whether it has the files that it was to have: its sandbox, or for a measurement a fresh one. */
  readonly hasItsFiles: boolean;
}

/**
 * Whether the command of a run that has a sandbox may begin. A run that lost its sandbox or its OpenCode begins again
 * once. One that OpenCode itself stopped, to reload or to end in good order, begins as often as that happens.
 */
export function decideRunStart(
  { processes, attempts }: Pick<Job, "processes" | "attempts">,
  { attemptsBefore, hasItsFiles }: RunStartFacts,
): RunStart {
  const last = processes.at(-1);
  // An attempt that is counted when a sandbox is lost begins once there is another, maybe in a later process.
  if (!last || attempts > (last.attempt ?? attemptsBefore)) return "first";
  if (last.stopped === true && hasItsFiles) return "anew";
  return attempts < MOST_ATTEMPTS ? "again" : "over";
}

/** The job whose command OpenCode stops because it reloads or ends. One that was lost with its sandbox is not under way. */
export function withCommandStopped(job: Job): Job {
  const { task, state, sandbox, loss } = job;
  const last = job.processes.at(-1);
  if (task.run === null || state.kind !== "running" || !last) return job;
  if (sandbox.kind !== "live" || sandbox.id !== last.sandboxID || loss?.files === null) return job;
  return { ...job, processes: [...job.processes.slice(0, -1), { ...last, stopped: true }] };
}
