/*
 * How busy a job's GPUs were: what nvidia-smi said in its sandbox, from time to time, and for how long each of its answers
 * stands. What a job puts in that program's place can only change the job's own numbers, which have bounds.
 */

/** What was measured of a job's GPUs, over all its sandboxes. Seconds are GPU-seconds: those of every GPU are added up. */
export interface GpuUse {
  /** For how long the job held GPUs. */
  readonly heldSeconds: number;
  /** How much of that is known from samples, and how much of this the GPUs were at work. */
  readonly measuredSeconds: number;
  readonly busySeconds: number;
  readonly samples: number;
  /** How often nvidia-smi gave no usable answer. */
  readonly failures: number;
  /** Whether its newest sandbox has no nvidia-smi. */
  readonly isMissing: boolean;
  readonly latest: GpuSample | null;
  /** Most memory that was in use in a sample, of all its GPUs; null = not known. */
  readonly mostMemoryMiB: number | null;
  /** Up to when `heldSeconds` counts, epoch ms. */
  readonly until: number;
}

export interface GpuSample {
  readonly at: number;
  /** Percent of the time in which a GPU was at work: the mean over those that answered. */
  readonly utilization: number;
  readonly gpus: number;
  /** Of all of them together; null = not known. */
  readonly memoryUsedMiB: number | null;
  readonly memoryTotalMiB: number | null;
}

export const NO_GPU_USE: GpuUse = {
  heldSeconds: 0,
  measuredSeconds: 0,
  busySeconds: 0,
  samples: 0,
  failures: 0,
  isMissing: false,
  latest: null,
  mostMemoryMiB: null,
  until: 0,
};

/** In this order `readAnswer` takes the fields. */
export const GPU_QUERY = "utilization.gpu,memory.used,memory.total";

const MOST_GPUS = 64;
const MOST_MIB = 100_000_000;

/**
 * Reads nvidia-smi's lines, one for each GPU.
 * @param held how many GPUs the sandbox was given: of more lines than that nobody knows which are its own
 * @returns null for anything else than numbers
 */
export function readAnswer(text: string, held: number, at: number): GpuSample | null {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  if (lines.length === 0 || lines.length > Math.min(held, MOST_GPUS)) return null;
  const rows = lines.map((line) => line.split(","));
  const utilizations = rows.flatMap(([first]) => numberIn(first, 100) ?? []);
  if (utilizations.length === 0) return null; // a part of a GPU (MIG) says "[N/A]"
  const sumOf = (index: number) => {
    const values = rows.flatMap((row) => numberIn(row[index], MOST_MIB) ?? []);
    return values.length === rows.length ? values.reduce((a, b) => a + b, 0) : null;
  };
  return {
    at,
    utilization: utilizations.reduce((a, b) => a + b, 0) / utilizations.length,
    gpus: utilizations.length,
    memoryUsedMiB: sumOf(1),
    memoryTotalMiB: sumOf(2),
  };
}

function numberIn(text: string | undefined, max: number): number | null {
  if (!/^\s*\d{1,9}(?:\.\d{1,6})?\s*$/.test(text ?? "")) return null;
  const value = Number(text);
  return value <= max ? value : null;
}

/** An answer stands for no longer than this while commands run, or while GPUs are at work without one. */
const STANDS_MS = 60_000;
/** Percent. GPUs that are no busier than this when no command runs stay so until the next one. */
const IDLE = 5;

/** Whether an answer from when no command ran stands until the next command. */
export const isIdle = ({ utilization }: GpuSample): boolean => utilization <= IDLE;

/** A time in which commands ran all the while, or none did. */
export interface Stretch {
  readonly ms: number;
  /** The answers at its beginning and its end; null = there is none. */
  readonly before: GpuSample | null;
  readonly after: GpuSample | null;
  /** Whether no command ran. */
  readonly isQuiet: boolean;
}

/** What is known of a stretch. */
export function creditOf({ ms, before, after, isQuiet }: Stretch): Pick<GpuUse, "measuredSeconds" | "busySeconds"> {
  const answers = (isQuiet ? [before ?? after] : [before, after]).flatMap((one) => one ?? []);
  if (answers.length === 0 || ms <= 0) return { measuredSeconds: 0, busySeconds: 0 };
  const mean = answers.reduce((sum, { utilization }) => sum + utilization, 0) / answers.length;
  const known = isQuiet && mean <= IDLE ? ms : Math.min(ms, STANDS_MS);
  const measuredSeconds = (Math.min(...answers.map(({ gpus }) => gpus)) * known) / 1000;
  return { measuredSeconds, busySeconds: (measuredSeconds * mean) / 100 };
}

export interface GpuUseChange {
  readonly heldSeconds: number;
  readonly measuredSeconds: number;
  readonly busySeconds: number;
  readonly until: number;
  readonly answer: GpuAnswer | null;
}

export type GpuAnswer =
  | { readonly kind: "sample"; readonly sample: GpuSample }
  /** nvidia-smi failed, or what it printed was no answer. */
  | { readonly kind: "failed" }
  | { readonly kind: "missing" };

export function withGpuUse(use: GpuUse | undefined, change: GpuUseChange): GpuUse {
  const { answer } = change;
  const before = use ?? NO_GPU_USE;
  const sample = answer?.kind === "sample" ? answer.sample : null;
  const heldSeconds = before.heldSeconds + change.heldSeconds;
  const measuredSeconds = Math.min(heldSeconds, before.measuredSeconds + change.measuredSeconds);
  return {
    heldSeconds,
    measuredSeconds,
    busySeconds: Math.min(measuredSeconds, before.busySeconds + change.busySeconds),
    samples: before.samples + (sample ? 1 : 0),
    failures: before.failures + (answer?.kind === "failed" ? 1 : 0),
    isMissing: answer === null ? before.isMissing : answer.kind === "missing",
    latest: sample ?? before.latest,
    mostMemoryMiB: mostOf(before.mostMemoryMiB, sample?.memoryUsedMiB ?? null),
    until: Math.max(before.until, change.until),
  };
}

const mostOf = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.max(a, b);
