import type { Options } from "../../config/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";

const MINUTE_MS = 60_000;

/** Time limits, milliseconds. Every call of the SDK has one of these. */
export interface ModalLimits {
  /** A question to the control plane: an app, a secret, tags, whether a sandbox lives. */
  readonly callMs: number;
  /** Building an image, from the beginning of the build. */
  readonly buildMs: number;
  /** From asking for a sandbox to its first command; with a GPU, to Modal's answer that it has the request. */
  readonly createMs: number;
  /** How long a request for a GPU waits for a machine, unless it says so itself. */
  readonly gpuWaitMs: number;
  /** From the moment a sandbox with a GPU has a machine to its first command. */
  readonly gpuBootMs: number;
  /** From asking for a command to its first output line. */
  readonly startMs: number;
  /** A short command of our own in a sandbox. */
  readonly execMs: number;
  /** A file, plus a second for each `fileBytesPerSecond`. */
  readonly fileMs: number;
  readonly fileBytesPerSecond: number;
  /** Asking for the exit code of a command whose output has ended. */
  readonly exitMs: number;
  /** How long the last output of a command or sandbox that is known to have ended may take to arrive. */
  readonly graceMs: number;
  /** A snapshot; the SDK's own default is 55 s. */
  readonly snapshotMs: number;
  /** Between two checks of whether a sandbox still lives. */
  readonly pollMs: number;
  /** For a terminated sandbox to be reported as ended; it counts as ended after that. */
  readonly terminateMs: number;
}

const FIXED = {
  callMs: 30_000,
  gpuBootMs: 300_000,
  startMs: 60_000,
  execMs: 60_000,
  fileMs: 60_000,
  fileBytesPerSecond: 512 * 1024,
  exitMs: 15_000,
  graceMs: 2_000,
  pollMs: 15_000,
  terminateMs: 120_000,
};

export const toLimits = (options: Options["modal"]): ModalLimits => ({
  ...FIXED,
  buildMs: options.buildTimeoutMinutes * MINUTE_MS,
  createMs: options.createTimeoutSeconds * 1000,
  gpuWaitMs: options.gpuWaitMinutes * MINUTE_MS,
  snapshotMs: options.snapshotTimeoutSeconds * 1000,
});

/** What every function that calls the SDK needs. */
export interface CallDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: ModalLimits;
}
