import { spanOf } from "../core/burst.ts";
import type { Job } from "../core/job.ts";
import { oneLine } from "../shared/plain-text.ts";

/** What of a job's view says which GPUs it has, and had for single commands. */
export interface JobGpuView {
  /** The GPU of its sandbox; until it has one, the GPU that was requested. */
  readonly gpu?: string;
  /** When its single commands held GPUs, and how many; one that holds them still has no end. */
  readonly commandGpus?: readonly { readonly gpus: number; readonly from: string; readonly to?: string }[];
  /** `gpu` is what a command holds: its own sandbox has none. */
  readonly gpuOfCommand?: true;
  /** What the GPUs of its newest sandbox report to be, e.g. ["NVIDIA H200"], which may be a better type than asked for. */
  readonly devices?: readonly string[];
}

const NAME_LIMIT = 64;
const iso = (at: number): string => new Date(at).toISOString();

/** Those of its sandbox, or those that a command of its own has at the moment. */
export function toGpu({ gpu, task, devices, burst, formerBursts = [] }: Job): JobGpuView {
  const held = burst?.since == null ? null : burst;
  const own = gpu ?? task.gpu;
  const [shown, names] = [own ?? held?.gpu, devices.length > 0 ? devices : (held?.devices ?? [])];
  const now = held && spanOf(held, held.since ?? 0);
  const spans = [
    ...formerBursts.map(({ gpus, from, to }) => ({ gpus, from: iso(from), to: iso(to) })),
    ...(now ? [{ gpus: now.gpus, from: iso(now.from) }] : []),
  ];
  return {
    ...(shown != null && { gpu: shown }),
    ...(own == null && held && { gpuOfCommand: true }),
    ...(spans.length > 0 && { commandGpus: spans }),
    ...(names.length > 0 && { devices: names.map((name) => oneLine(name, NAME_LIMIT)) }),
  };
}
