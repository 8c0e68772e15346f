import type { Activity, Doing } from "../../core/activity.ts";
import { isHeld, type Job } from "../../core/job.ts";
import type { Runtime } from "../runtime.ts";

/** What jobs do now, or wait for, as far as it is known here: place in the queue, running tool, pending requests. */
export function doingOf(
  runtime: Pick<Runtime, "scheduler" | "activity" | "lifecycle" | "pool" | "clock">,
  jobs: readonly Job[],
): (job: Job) => Doing {
  const places = runtime.scheduler.places(jobs.filter(({ state }) => state.kind === "queued").map(({ id }) => id));
  return (job) => ({
    place: places.get(job.id) ?? null,
    live: { ...runtime.activity.of(job.childSession), ...commandOf(runtime, job.id) },
    creating: runtime.lifecycle.creating(job.id),
    pendingSince: runtime.lifecycle.pendingSince(job.id),
    silentHolder: isHeld(job.state) ? runtime.pool.silentHolder(job.state.leaseID, runtime.clock.now()) : null,
  });
}

function commandOf({ activity }: Pick<Runtime, "activity">, jobID: string): Pick<Activity, "command" | "line"> {
  const running = activity.commandOf(jobID);
  const line = activity.lineOf(jobID) ?? (running && newestLine(running.tail(2)));
  return { command: running?.command ?? null, line };
}

const newestLine = (text: string): string | null => text.split("\n").findLast((line) => line.trim() !== "") ?? null;
