import type { Job } from "../../core/job.ts";
import type { ChildSessions, SessionEvent } from "../../core/ports.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { WorkerContext, Workers } from "./workers.ts";

export interface FirstStepsDeps {
  readonly sessions: Pick<ChildSessions, "on">;
  readonly workers: Pick<Workers, "find">;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
}

/** Records of an agent's job that its first command begins. It may have been asked for long before, without a sandbox. */
export function recordFirstCommand({ sessionJobs, jobID }: WorkerContext, now: number): void {
  if (sessionJobs.get(jobID)?.firstCommandAt !== undefined) return;
  sessionJobs.update(jobID, (job) => ({ ...job, firstCommandAt: job.firstCommandAt ?? now }));
}

/** Records of each agent's job when its model first replied. Returns the function that ends this. */
export function recordFirstSteps({ sessions, workers, clock, log }: FirstStepsDeps): () => void {
  return sessions.on((event) => {
    if (event.kind !== "step" && event.kind !== "tool") return;
    const worker = workers.find(event.sessionID);
    const job = worker?.sessionJobs.get(worker.jobID);
    if (!worker || !job) return;
    const change = firstSteps(job, event, clock.now());
    if (change === null) return;
    try {
      worker.sessionJobs.update(job.id, (current) => ({ ...current, ...change }));
    } catch (error) {
      log("warn", "could not record a job's first steps", { jobID: job.id, reason: String(error) });
    }
  });
}

/** What is new in `event`; null = nothing. A reply counts once it is whole, or calls a tool. */
function firstSteps(job: Job, event: SessionEvent, now: number): Partial<Job> | null {
  const begins = event.kind === "tool" && event.running;
  return job.firstReplyAt === undefined && (begins || event.kind === "step") ? { firstReplyAt: now } : null;
}
