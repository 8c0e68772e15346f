/** How long we wait for what, milliseconds. Every call of the SDK has one of these around it. */
export interface ModalLimits {
  /** A question to the control plane: an app, a secret, tags, whether a sandbox lives. */
  readonly callMs: number;
  /** The building of an image. */
  readonly buildMs: number;
  /** From asking for a sandbox to its first command, for each kind of GPU tried. */
  readonly createMs: number;
  /** From asking for a command to its first sign of life. */
  readonly startMs: number;
  /** A short command of our own in a sandbox. */
  readonly execMs: number;
  /** A file, plus a second for each `fileBytesPerSecond`. */
  readonly fileMs: number;
  readonly fileBytesPerSecond: number;
  /** The exit code of a command whose output has ended. */
  readonly exitMs: number;
  /** What is already known to have ended may still bring its last words for so long. */
  readonly graceMs: number;
  /** A snapshot's own budget; the SDK's is 55 s. */
  readonly snapshotMs: number;
  /** Between two looks at whether a sandbox still lives. */
  readonly pollMs: number;
  /** For a terminated sandbox to be seen ended. */
  readonly terminateMs: number;
}

export const DEFAULT_LIMITS: Omit<ModalLimits, "createMs" | "snapshotMs"> = {
  callMs: 30_000,
  buildMs: 20 * 60_000,
  startMs: 60_000,
  execMs: 60_000,
  fileMs: 60_000,
  fileBytesPerSecond: 512 * 1024,
  exitMs: 15_000,
  graceMs: 2_000,
  pollMs: 15_000,
  terminateMs: 10_000,
};
