import type { Clock } from "../shared/clock.ts";
import { within } from "../shared/time-limit.ts";
import type { ExitStatus, OutputChunk, SandboxProcess } from "./port.ts";

/** How long after SIGKILL a command's end may take to be reported. */
const KILLED_MS = 30_000;
const SIGNAL_MS = 60_000;
/** Time limit for a command to read its input. */
const INPUT_MS = 60_000;

/** A process whose calls have time limits, and whose exit is settled as `unknown` when nothing reports it after SIGKILL. */
export function boundProcess(process: SandboxProcess, clock: Clock): SandboxProcess {
  const lost = Promise.withResolvers<ExitStatus>();
  let isLost = false;
  let isOver = false;
  let endOutput = () => {};
  const limit = <T>(call: Promise<T>, limitMs: number, doing: string) => within(call, { clock, limitMs, doing });
  let cancel: (() => void) | null = null;
  const exit = Promise.race([process.exit, lost.promise]);
  void exit.then(() => {
    isOver = true;
    cancel?.();
  });
  async function* output(): AsyncGenerator<OutputChunk> {
    const pieces = process.output[Symbol.asyncIterator]();
    // Not Promise.race: each round would leave a promise in memory until the command ends.
    const next = () =>
      new Promise<IteratorResult<OutputChunk>>((resolve, reject) => {
        endOutput = () => resolve({ done: true, value: undefined });
        if (isLost) endOutput();
        pieces.next().then(resolve, reject);
      });
    try {
      for (let piece = await next(); !piece.done; piece = await next()) yield piece.value;
    } finally {
      void pieces.return?.(); // not awaited, because a read that never ends would block it
    }
  }
  return {
    id: process.id,
    logPath: process.logPath,
    output: output(),
    exit,
    write: (input) => limit(process.write(input), INPUT_MS, "Waiting for the command to read its input"),
    closeInput: () => limit(process.closeInput(), INPUT_MS, "Closing the command's input"),
    endGroup: (graceMs) => limit(process.endGroup(graceMs), graceMs + SIGNAL_MS, "Ending a command's process group"),
    leavesRunning: () => limit(process.leavesRunning(), SIGNAL_MS, "Looking for what a command has left running"),
    signal(signal) {
      if (signal === "SIGKILL" && !isOver)
        cancel ??= clock.after(KILLED_MS, () => {
          isLost = true;
          lost.resolve({
            kind: "unknown",
            reason: `its end was not reported within ${KILLED_MS / 1000} s after it was to be killed, so it may still run, as process ${process.id}`,
          });
          endOutput();
        });
      return limit(process.signal(signal), SIGNAL_MS, `Sending ${signal}`);
    },
  };
}
