import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";

/** Time limits, milliseconds. Every call of the SDK has one of these. */
export interface ModalLimits {
  /** A question to the control plane: an app, a secret, tags, whether a sandbox lives. */
  readonly callMs: number;
  /** Building an image, from the beginning of the build. */
  readonly buildMs: number;
  /** From asking for a sandbox to its first command. */
  readonly createMs: number;
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
  /** For a terminated sandbox to be reported as ended. */
  readonly terminateMs: number;
}

export const DEFAULT_LIMITS: Omit<ModalLimits, "buildMs" | "createMs" | "snapshotMs"> = {
  callMs: 30_000,
  startMs: 60_000,
  execMs: 60_000,
  fileMs: 60_000,
  fileBytesPerSecond: 512 * 1024,
  exitMs: 15_000,
  graceMs: 2_000,
  pollMs: 15_000,
  terminateMs: 10_000,
};

/** What every function that calls the SDK needs. */
export interface CallDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly limits: ModalLimits;
}
