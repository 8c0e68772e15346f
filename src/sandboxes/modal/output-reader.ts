import type { ContainerProcess } from "modal";
import type { Clock } from "../../shared/clock.ts";
import type { OutputChunk } from "../port.ts";
import { EndMarkScanner } from "./end-mark.ts";
import type { OutputQueue } from "./output-queue.ts";

export interface OutputReader {
  /** The wrapper's first line; empty when the output ended before it. */
  readonly firstLine: Promise<string>;
  /** The exit code from the mark, once both streams are through; null when they ended without one. */
  readonly code: Promise<number | null>;
  /** What broke a stream, if anything did. */
  failure(): unknown;
  /** The queue has room again. */
  resume(): void;
  /** Ends the output now. */
  stop(): void;
}

interface ChunkReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

// What the wrapper does after its mark, it does at once.
const LAST_MS = 250;

/**
 * Brings a stream to its end, or cuts it off in the middle of a read. Its call has a timer as long as the command may
 * run, which the SDK clears only on the way out of a read: cancelled between two reads, the timer would keep this
 * process alive for hours.
 */
async function endStream(reader: ChunkReader, clock: Clock): Promise<void> {
  // Processes left behind may hold the stream open, and write.
  const stop = clock.after(LAST_MS, () => void reader.cancel().catch(() => {}));
  try {
    while (!(await reader.read()).done);
  } catch {
    // It has ended that way.
  } finally {
    stop();
  }
}

/** Reads both streams of a command into `queue`, no further ahead of its reader than the queue allows. */
export function openOutput(
  child: ContainerProcess<Uint8Array>,
  id: string,
  queue: OutputQueue,
  clock: Clock,
): OutputReader {
  const firstLine = Promise.withResolvers<string>();
  const roomWaiters = new Set<() => void>();
  let failed: unknown = null;
  let stopped = false;
  let beforeLine: Buffer | null = Buffer.alloc(0);
  const readers = [child.stdout, child.stderr].map((stream) => stream.getReader());

  /** The rest of a chunk after the first line of stdout, which is the wrapper's. */
  const afterFirstLine = (chunk: Uint8Array): Uint8Array => {
    if (beforeLine === null) return chunk;
    const all: Buffer = Buffer.concat([beforeLine, chunk]);
    const end = all.indexOf(10);
    beforeLine = end < 0 ? all : null;
    if (end < 0) return all.subarray(all.length);
    firstLine.resolve(all.subarray(0, end).toString("latin1").trimEnd());
    return all.subarray(end + 1);
  };
  const room = async () => {
    while (queue.full && !stopped) await new Promise<void>((resolve) => roomWaiters.add(resolve));
  };
  async function pump(reader: ChunkReader, stream: OutputChunk["stream"]): Promise<number | null> {
    const scanner = new EndMarkScanner(id);
    const push = (bytes: Uint8Array) => {
      if (bytes.length > 0) queue.push({ stream, bytes });
    };
    try {
      while (!stopped) {
        await room();
        const next = await reader.read();
        if (next.done || next.value === undefined) break;
        const found = scanner.push(stream === "stdout" ? afterFirstLine(next.value) : next.value);
        push(found.bytes);
        if (found.code !== null) return found.code;
      }
      push(scanner.rest());
    } catch (error) {
      failed ??= error;
    } finally {
      void endStream(reader, clock);
    }
    return null;
  }
  const code = Promise.all([readers[0] && pump(readers[0], "stdout"), readers[1] && pump(readers[1], "stderr")]).then(
    ([out, err]) => {
      firstLine.resolve("");
      queue.end();
      return out ?? err ?? null;
    },
  );
  const resume = () => {
    for (const wake of roomWaiters) wake();
    roomWaiters.clear();
  };
  return {
    firstLine: firstLine.promise,
    code,
    failure: () => failed,
    resume,
    stop() {
      stopped = true;
      resume();
      for (const reader of readers) void endStream(reader, clock);
      queue.end();
    },
  };
}
