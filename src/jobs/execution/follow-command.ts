import type { ExitStatus, SandboxProcess } from "../../sandboxes/port.ts";
import { type Clock, sleep } from "../../shared/clock.ts";

/** Reason to abort with that says how long the command has between SIGTERM and SIGKILL; 0: it gets SIGKILL at once. */
export class EndWithin extends Error {
  readonly graceMs: number;

  constructor(graceMs: number) {
    super(`The command is to end within ${graceMs} ms`);
    this.graceMs = graceMs;
  }
}

/** Time between SIGTERM and SIGKILL where nothing else is said. */
const GRACE_MS = 2_000;

export interface CommandEnd {
  readonly status: ExitStatus;
  /** Why it was stopped; null when it ended by itself. */
  readonly stopped: "timeout" | "abort" | null;
  /** How long after SIGTERM it, or what it left of its process group, was killed; null when all of it had ended by then. */
  readonly killedAfterMs: number | null;
}

export interface FollowOptions {
  readonly clock: Clock;
  /** null = it may take any time. */
  readonly timeoutMs: number | null;
  readonly signal: AbortSignal;
  /** Whether its sandbox has ended, so that its end is not waited for once it is to stop. Absent = that takes no hurry. */
  readonly isLost?: () => boolean;
  /** Told every piece of the output, in order. */
  readonly onOutput: (bytes: Uint8Array) => void;
}

/**
 * Reads a command's output to its end. Past its time limit, or when it is to stop, its process group gets SIGTERM, and
 * SIGKILL for what is left of it 2 s later, or as the reason `EndWithin` says; SIGKILL at once where its sandbox is lost.
 * A command whose end could not be learned may run on where nobody follows it, so it is killed as soon as that can be done.
 */
export async function followCommand(process: SandboxProcess, options: FollowOptions): Promise<CommandEnd> {
  const { clock, timeoutMs, signal, isLost } = options;
  let stopped: CommandEnd["stopped"] = null;
  let stoppedAt = 0;
  let killAt = 0;
  let isKilled = false;
  const graceMs = () => (signal.reason instanceof EndWithin ? signal.reason.graceMs : GRACE_MS);
  let cancelKill: () => void = () => {};
  const stop = (why: "timeout" | "abort") => {
    if (stopped) return;
    stopped = why;
    stoppedAt = killAt = clock.now();
    if (graceMs() === 0 || isLost?.()) {
      void process.signal("SIGKILL").catch(() => {});
      return;
    }
    void process.signal("SIGTERM").catch(() => {}); // SIGKILL follows, unless the command ends first
    killAt += graceMs();
    cancelKill = clock.after(graceMs(), () => {
      isKilled = true;
      void process.signal("SIGKILL").catch(() => {});
    });
  };
  const onAbort = () => stop("abort");
  const cancelTimeout = timeoutMs === null ? () => {} : clock.after(timeoutMs, () => stop("timeout"));
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  let status: ExitStatus;
  try {
    await process.closeInput();
    for await (const { bytes } of process.output) options.onOutput(bytes);
    status = await process.exit;
    if (status.kind === "unknown") void killOnceReached(process, clock);
  } finally {
    cancelTimeout();
    cancelKill();
    signal.removeEventListener("abort", onAbort);
    // The command may have obeyed SIGTERM and left a child that does not.
    if (stopped) {
      const isRestKilled = await process.endGroup(Math.max(0, killAt - clock.now())).catch(() => false);
      isKilled ||= isRestKilled && killAt > stoppedAt;
    }
  }
  return { status, stopped, killedAfterMs: isKilled ? killAt - stoppedAt : null };
}

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

/** Signals reach nobody while the sandbox cannot be reached. Once it has ended, they succeed. */
async function killOnceReached(process: SandboxProcess, clock: Clock): Promise<void> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    const isDone = await process.signal("SIGKILL").then(
      () => true,
      () => false,
    );
    if (isDone) return;
    await sleep(clock, pauseMs);
  }
}
