import type { Sandbox as ModalSandbox } from "modal";
import type { Clock } from "../../shared/clock.ts";
import { within } from "../../shared/time-limit.ts";
import { wholeSecondsMs } from "./durations.ts";

export interface ExecOnce {
  readonly clock: Clock;
  readonly limitMs: number;
  /** Start of the message when the time limit passes: "Reading /x in sandbox sb-1". */
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
  /** Whether its stdout tells by itself that it has succeeded. Then neither its stderr nor its exit code is asked for. */
  readonly isSuccess?: (stdout: Uint8Array) => boolean;
}

export interface Ended {
  readonly code: number;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
}

/**
 * Runs a short command of our own, which leaves no processes, and collects its output.
 * @throws DeadlineError, AbandonedError, and what the SDK throws
 * @source Modal JS SDK 0.11.1, Sandbox.exec; `timeoutMs` must be whole seconds
 */
export function execOnce(
  sandbox: ModalSandbox,
  argv: readonly string[],
  { clock, limitMs, doing, signal, isSuccess }: ExecOnce,
): Promise<Ended> {
  const run = async (): Promise<Ended> => {
    // Always "pipe": under Bun, "ignore" throws after the command has been started.
    const child = await sandbox.exec([...argv], {
      mode: "binary",
      stdout: "pipe",
      stderr: "pipe",
      timeoutMs: wholeSecondsMs(limitMs),
    });
    if (isSuccess) {
      const stdout = await child.stdout.readBytes();
      if (isSuccess(stdout)) return { code: 0, stdout, stderr: new Uint8Array() };
      const [stderr, code] = await Promise.all([child.stderr.readBytes(), child.wait()]);
      return { code, stdout, stderr };
    }
    const [stdout, stderr, code] = await Promise.all([
      child.stdout.readBytes(),
      child.stderr.readBytes(),
      child.wait(),
    ]);
    return { code, stdout, stderr };
  };
  return within(run(), { clock, limitMs, doing, signal });
}
