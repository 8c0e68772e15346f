import type { GpuUse } from "../core/gpu-use.ts";
import { isHeld, type Job } from "../core/job.ts";

/** What was measured of a job's GPUs, for every view. Seconds are GPU-seconds: those of every GPU are added up. */
export interface GpuUseView {
  /** Percent of the measured time in which its GPUs were at work, 0 to 100; null = nothing was measured. */
  readonly utilization: number | null;
  /** The newest sample, while the job runs and as long as that is news. */
  readonly now?: number;
  /** For how long it held GPUs, and how much of that was measured. */
  readonly heldSeconds: number;
  readonly measuredSeconds: number;
  readonly samples: number;
  /** Of all its GPUs together; `memoryMiB` is the most that was in use in a sample. Absent = not known. */
  readonly memoryMiB?: number;
  readonly memoryTotalMiB?: number;
  /** Why nothing, or no more, is measured. */
  readonly unmeasured?: string;
}

/** A sample is no news after this. */
const NEWS_MS = 60_000;

export function toGpuUseView({ state, sandbox }: Job, gpuUse: GpuUse, now: number): GpuUseView {
  const { busySeconds, measuredSeconds, latest, mostMemoryMiB } = gpuUse;
  const isNews = latest !== null && isHeld(state) && sandbox.kind === "live" && now - latest.at <= NEWS_MS;
  const unmeasured = whyUnmeasured(gpuUse);
  return {
    utilization: measuredSeconds > 0 ? round((100 * busySeconds) / measuredSeconds) : null,
    ...(isNews && { now: round(latest.utilization) }),
    heldSeconds: round(gpuUse.heldSeconds),
    measuredSeconds: round(measuredSeconds),
    samples: gpuUse.samples,
    ...(mostMemoryMiB !== null && { memoryMiB: mostMemoryMiB }),
    ...(latest && latest.memoryTotalMiB !== null && { memoryTotalMiB: latest.memoryTotalMiB }),
    ...(unmeasured !== null && { unmeasured }),
  };
}

function whyUnmeasured({ isMissing, samples, failures }: GpuUse): string | null {
  if (isMissing) return "its sandbox has no nvidia-smi";
  if (samples > 0) return null;
  return failures > 0 ? "nvidia-smi did not say how busy its GPUs are" : "no command ran long enough to be measured";
}

const round = (value: number): number => Math.round(value * 10) / 10;
