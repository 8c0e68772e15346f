import type { GpuUseView } from "./gpu-use-view.ts";
import type { JobView } from "./job-view.ts";

type GpuJob = Pick<JobView, "state" | "gpu" | "gpuUse" | "startedAt" | "endedAt">;

/** What was measured of the GPUs of several jobs. Seconds are GPU-seconds: those of every GPU are added up. */
export interface GpuTotals {
  /** For how long jobs held GPUs, how much of that was measured, and how much of this the GPUs were at work. */
  readonly heldSeconds: number;
  readonly measuredSeconds: number;
  readonly busySeconds: number;
  /** Of the measured time, 0 to 1; null = nothing was measured. */
  readonly share: number | null;
  /** Jobs of which nothing was measured, by the reason. */
  readonly unmeasured: Readonly<Record<string, number>>;
}

/** null = no job held a GPU. @param now epoch ms */
export function totalGpuUse(jobs: Iterable<GpuJob>, now: number): GpuTotals | null {
  let [heldSeconds, measuredSeconds, busySeconds] = [0, 0, 0];
  const unmeasured = new Map<string, number>();
  for (const job of jobs) {
    const held = heldSecondsOf(job, now);
    if (held <= 0) continue;
    heldSeconds += held;
    const { gpuUse } = job;
    if (gpuUse?.utilization == null) {
      const why = gpuUse?.unmeasured ?? UNKNOWN;
      unmeasured.set(why, (unmeasured.get(why) ?? 0) + 1);
      continue;
    }
    measuredSeconds += gpuUse.measuredSeconds;
    busySeconds += (gpuUse.measuredSeconds * gpuUse.utilization) / 100;
  }
  if (heldSeconds === 0) return null;
  const share = measuredSeconds > 0 ? busySeconds / measuredSeconds : null;
  return { heldSeconds, measuredSeconds, busySeconds, share, unmeasured: Object.fromEntries(unmeasured) };
}

const UNKNOWN = "nobody measured it";

/** What was recorded; of jobs of earlier versions the time from their start to their end. */
function heldSecondsOf({ state, gpu, gpuUse, startedAt, endedAt }: GpuJob, now: number): number {
  if (gpuUse) return gpuUse.heldSeconds;
  if (startedAt === undefined || state === "interrupted") return 0;
  const end = endedAt === undefined ? now : Date.parse(endedAt);
  return (gpuCount(gpu) * Math.max(0, end - Date.parse(startedAt))) / 1000;
}

/** Of "H100:8", or of the first of several that are tried in turn. */
export function gpuCount(gpu: string | undefined): number {
  if (gpu === undefined || gpu === "" || gpu === "none") return 0;
  return Number(/^[^|:]*:(\d+)/.exec(gpu)?.[1] ?? 1);
}

/** "63 % over 2.1 measured of 2.4 held GPU hours" */
export function gpuUseWords({
  share,
  measuredSeconds,
  heldSeconds,
}: Omit<GpuTotals, "busySeconds" | "unmeasured">): string {
  const { seconds, unit } = UNITS.find((one) => heldSeconds >= 2 * one.seconds) ?? { seconds: 1, unit: "seconds" };
  const amount = (value: number) => String(Number((value / seconds).toFixed(1)));
  const held = `${amount(heldSeconds)} held GPU ${unit}`;
  return share === null
    ? `not measured in ${held}`
    : `${percent(share)} over ${amount(measuredSeconds)} measured of ${held}`;
}

const UNITS = [
  { seconds: 3_600, unit: "hours" },
  { seconds: 60, unit: "minutes" },
] as const;

/** A little is not nothing. */
export const percent = (share: number): string =>
  share > 0 && share < 0.01 ? "under 1 %" : `${Math.round(share * 100)} %`;

/** "not measured of 3 jobs (its sandbox has no nvidia-smi)"; empty where something was measured of each. */
export const unmeasuredWords = ({ unmeasured }: Pick<GpuTotals, "unmeasured">): string[] =>
  Object.entries(unmeasured).map(([why, count]) => `not measured of ${count} job${count === 1 ? "" : "s"} (${why})`);

/** "63 % over 2.1 measured of 2.4 held GPU hours, 71 % now; at most 41 of 80 GiB in use" */
export function jobGpuWords({ utilization, now, unmeasured, memoryMiB, memoryTotalMiB, ...time }: GpuUseView): string {
  const share = utilization === null ? null : utilization / 100;
  const current = now === undefined ? "" : `, ${percent(now / 100)} now`;
  const gib = (mib: number) => Number((mib / 1024).toFixed(1));
  const memory =
    memoryMiB === undefined || memoryTotalMiB === undefined
      ? ""
      : `; at most ${gib(memoryMiB)} of ${gib(memoryTotalMiB)} GiB in use`;
  const why = unmeasured === undefined ? "" : `; ${unmeasured}`;
  return `${gpuUseWords({ share, ...time })}${current}${memory}${why}`;
}
