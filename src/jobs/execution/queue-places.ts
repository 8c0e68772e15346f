import { gpusOf } from "../../config/gpu.ts";
import { type AdmissionLimits, createLine, describeWait, type QueuePlace } from "../../core/admission.ts";
import { describeGpuWait } from "../../core/gpu-wait.ts";
import { gpusWanted } from "../../core/machine-pool.ts";
import type { Clock } from "../../shared/clock.ts";
import type { LocalQueue, QueuedJob } from "../queue/local-queue.ts";
import type { LeaseStore } from "../store/lease-store.ts";

export interface QueuePlacesDeps {
  readonly pool: Pick<LeaseStore, "poolState" | "positions" | "queuedUntil">;
  readonly localQueue: Pick<LocalQueue, "all" | "find" | "budgetReasonOf">;
  /** Jobs that ask for a GPU again later. */
  readonly paused: () => readonly QueuedJob[];
  readonly limits: AdmissionLimits;
  readonly clock: Clock;
}

/**
 * Where these jobs stand in the queue and what they wait for, by job id, without those that are not queued here. Asked for
 * the few that an answer shows, at every look: what it costs must not follow the length of the queue.
 */
export function placesInQueue(deps: QueuePlacesDeps, jobIDs: readonly string[]): ReadonlyMap<string, QueuePlace> {
  const { pool, localQueue, limits, clock } = deps;
  const wanted = new Set(jobIDs);
  const queued = jobIDs.flatMap((jobID) => localQueue.find(jobID) ?? []);
  const paused = deps.paused().filter(({ jobID }) => wanted.has(jobID));
  const places = new Map<string, QueuePlace>();
  if (queued.length === 0 && paused.length === 0) return places;
  const now = clock.now();
  const waiting: QueuedJob[] = [];
  const blocked = new Map<string, string>();
  for (const job of queued) {
    const reason = localQueue.budgetReasonOf(job.jobID);
    if (reason === undefined) waiting.push(job);
    else blocked.set(job.jobID, reason);
  }
  // These have no place in the shared queue.
  if (blocked.size > 0)
    for (const [index, { jobID }] of localQueue.all().entries()) {
      const reason = blocked.get(jobID);
      if (reason !== undefined) places.set(jobID, { position: index + 1, reason });
    }
  if (waiting.length > 0) {
    const state = pool.poolState(now);
    const line = createLine(state, limits, now);
    const positions = pool.positions(
      waiting.map(({ jobID }) => jobID),
      now,
    );
    for (const { sessionJobs, jobID } of waiting) {
      const job = sessionJobs.get(jobID);
      const gpus = job ? gpusWanted(job) : [];
      const position = positions.get(jobID) ?? pool.queuedUntil(Number.MAX_SAFE_INTEGER, now) + 1;
      const others = state.leases.filter((lease) => lease.jobID !== jobID);
      const reason = line.choose(jobID, gpus) ? null : describeWait(gpus, others, position - 1, limits);
      places.set(jobID, { position, reason });
    }
  }
  for (const { sessionJobs, jobID } of paused) {
    const job = sessionJobs.get(jobID);
    if (!job?.gpuWait) continue;
    const reason = describeGpuWait(gpusOf(job.task.gpu), job.gpuWait, now);
    places.set(jobID, { position: pool.queuedUntil(job.state.since, now) + 1, reason });
  }
  return places;
}
