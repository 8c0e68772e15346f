import type { ExitStatus, SandboxSignal } from "../port.ts";

/** @source signal(7): x86 and Arm */
const NUMBERS: Readonly<Record<SandboxSignal, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGCONT: 18,
  SIGSTOP: 19,
};

/**
 * What a shell's exit code for a command means. 128 + n is death by signal n if we sent that signal. Otherwise it may be the
 * command's own code, and is reported unchanged.
 */
export function toExitStatus(code: number, sent: ReadonlySet<SandboxSignal>): ExitStatus {
  for (const signal of sent) if (code === 128 + NUMBERS[signal]) return { kind: "signalled", signal };
  return { kind: "exited", code };
}
