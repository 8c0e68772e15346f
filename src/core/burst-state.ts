/* What is recorded of a job's burst; see `burst.ts`. */

export interface Burst {
  /** As it was asked for; from the moment it is there, what was granted. */
  readonly gpu: string;
  /** What its GPUs report to be. */
  readonly devices: readonly string[];
  /** null = it is not there yet. */
  readonly sandboxID: string | null;
  /** Since when GPUs are held for it, epoch ms; null = not yet. */
  readonly since: number | null;
  /** What it waits for; null = for nothing. */
  readonly reason: string | null;
  /** `starting`: its files are copied and it boots; `returning`: what the command has changed is brought back; `idle`: it waits for the next command. */
  readonly doing: "waiting" | "starting" | "running" | "returning" | "idle";
  /** The command, one line. */
  readonly command: string;
  /** While its files come back: they are being put in place. What was staged for that is gone once all of them are. */
  readonly isPlacing?: boolean | undefined;
}

/** A time in which GPUs were held for commands; their number is a mean where two times were joined. */
export interface GpuSpan {
  readonly from: number;
  readonly to: number;
  readonly gpus: number;
}

export const NEW_BURST: Burst = {
  gpu: "",
  devices: [],
  sandboxID: null,
  since: null,
  reason: null,
  doing: "waiting",
  command: "",
};
