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
 * What a shell's code for a command means. 128 + n is a death by signal n when we sent that signal; otherwise it may as
 * well be the command's own code, and is reported as it is.
 */
export function toExitStatus(code: number, sent: ReadonlySet<SandboxSignal>): ExitStatus {
  for (const signal of sent) if (code === 128 + NUMBERS[signal]) return { kind: "signalled", signal };
  return { kind: "exited", code };
}
