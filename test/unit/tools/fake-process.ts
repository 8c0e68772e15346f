import type { ExitStatus, OutputChunk, SandboxProcess, SandboxSignal } from "../../../src/sandboxes/port.ts";

/** A command that prints and ends when told. */
export interface FakeProcess extends SandboxProcess {
  print(text: string): void;
  end(status: ExitStatus): void;
  /** It has left processes running. */
  leaveRunning(): void;
  /** Its sandbox is lost: reading its output fails. */
  break(reason: string): void;
  readonly signals: readonly SandboxSignal[];
  /** The times, in milliseconds, given to its group when it was to end. */
  readonly groupEnds: readonly number[];
  readonly inputs: readonly string[];
}

export function createFakeProcess(id = "7", logPath: string | null = null): FakeProcess {
  const chunks: OutputChunk[] = [];
  const signals: SandboxSignal[] = [];
  const inputs: string[] = [];
  const groupEnds: number[] = [];
  const exit = Promise.withResolvers<ExitStatus>();
  let end: { error: Error | null } | null = null;
  let wakeUp = () => {};
  let isRead = false;
  let isLeft = false;

  async function* read(): AsyncGenerator<OutputChunk> {
    if (isRead) throw new Error("output is read once");
    isRead = true;
    for (;;) {
      const chunk = chunks.shift();
      if (chunk) yield chunk;
      else if (end?.error) throw end.error;
      else if (end) return;
      else await new Promise<void>((resolve) => (wakeUp = resolve));
    }
  }

  return {
    id,
    logPath,
    output: { [Symbol.asyncIterator]: read },
    exit: exit.promise,
    signals,
    inputs,
    groupEnds,
    async endGroup(graceMs) {
      groupEnds.push(graceMs);
      return false;
    },
    leaveRunning() {
      isLeft = true;
    },
    leavesRunning: async () => isLeft,
    print(text) {
      chunks.push({ stream: "stdout", bytes: new TextEncoder().encode(text) });
      wakeUp();
    },
    end(status) {
      end = { error: null };
      exit.resolve(status);
      wakeUp();
    },
    break(reason) {
      end = { error: new Error(reason) };
      exit.resolve({ kind: "unknown", reason });
      wakeUp();
    },
    async write(input) {
      if (end) throw new Error("it has ended");
      inputs.push(new TextDecoder().decode(input));
    },
    closeInput: async () => {},
    async signal(signal) {
      signals.push(signal);
    },
  };
}
