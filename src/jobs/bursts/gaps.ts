import type { GpuRequest } from "../../config/gpu.ts";
import { isEnough } from "../../core/burst.ts";
import type { GpuPast } from "../../core/linger.ts";
import type { Clock } from "../../shared/clock.ts";

interface Known extends GpuPast {
  readonly gapsMs: number[];
  readyMs: number;
  /** The GPUs of its last command, and when that had ended, epoch ms; null = one runs, or none has. */
  last: { readonly gpu: GpuRequest; readonly endedAt: number } | null;
}

/** More than any decision looks at. */
const KEPT = 32;

/** The gaps between a job's commands on GPUs, of which this process remembers the latest. */
export function createGaps(clock: Pick<Clock, "now">) {
  const jobs = new Map<string, Known>();

  function known(jobID: string): Known {
    const found = jobs.get(jobID) ?? { gapsMs: [], readyMs: 0, last: null };
    jobs.set(jobID, found);
    return found;
  }

  return {
    of: (jobID: string): GpuPast => known(jobID),
    /** A command has asked for GPUs. @param isStale whether the files there were not the job's any more */
    asked(jobID: string, askedAt: number, gpus: readonly GpuRequest[], isStale: boolean): void {
      const job = known(jobID);
      if (!job.last) return;
      const isOfUse = !isStale && isEnough(job.last.gpu, gpus);
      job.gapsMs.push(isOfUse ? Math.max(0, askedAt - job.last.endedAt) : Number.POSITIVE_INFINITY);
      if (job.gapsMs.length > KEPT) job.gapsMs.shift();
      job.last = null;
    },
    /** New GPUs are ready for a command that has asked for them. */
    ready(jobID: string, askedAt: number): void {
      known(jobID).readyMs = clock.now() - askedAt;
    },
    /** The files of a command have come back. */
    ended(jobID: string, gpu: GpuRequest): void {
      known(jobID).last = { gpu, endedAt: clock.now() };
    },
    forget: (jobID: string): void => void jobs.delete(jobID),
  };
}
