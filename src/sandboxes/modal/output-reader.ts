import type { Clock } from "../../shared/clock.ts";
import type { OutputChunk } from "../port.ts";
import { EndMarkScanner } from "./end-mark.ts";
import type { OutputQueue } from "./output-queue.ts";

export interface OutputReader {
  /** The wrapper's first line; empty when the output ended before it. */
  readonly firstLine: Promise<string>;
  /** The exit code from the mark, once its streams have ended; null when they ended without a mark. */
  readonly code: Promise<number | null>;
  /** Whether the mark said that processes of the command run on. */
  leavesRunning(): boolean;
  /** The error that broke a stream; null when none did. */
  failure(): unknown;
  /** To be called when the queue can take output again. */
  resume(): void;
  /** Ends the output now. */
  stop(): void;
}

export interface ChunkReader {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  cancel(): Promise<void>;
}

/** How long a stream is waited for that brings nothing. After its mark the wrapper exits at once. */
const SILENT_MS = 250;
/** How long a stream is read that goes on: processes that outlive the command may keep it open and write to it. */
const READ_MS = 5_000;

/**
 * Reads a stream to its end, or cancels it in the middle of a read that brings nothing. The SDK sets a timer for the command's
 * whole lifetime and clears it only when a read fails or finds the end. Cancelled between two reads, or while the next output is
 * already here, that timer would keep this process alive for hours.
 */
export async function endStream(reader: ChunkReader, clock: Clock): Promise<void> {
  const until = clock.now() + READ_MS;
  for (let isOver = false; !isOver; ) {
    const limitMs = Math.max(0, Math.min(SILENT_MS, until - clock.now()));
    const stop = clock.after(limitMs, () => void reader.cancel().catch(() => {}));
    isOver = await reader.read().then(
      ({ done }) => done,
      () => true, // cancelled or broken: it has ended
    );
    stop();
  }
}

/**
 * Reads a command's output into `queue`, pausing while the queue is full.
 * @param streams its stdout, and its stderr unless that goes into its stdout
 */
export function openOutput(
  streams: readonly { getReader(): ChunkReader }[],
  id: string,
  queue: OutputQueue,
  clock: Clock,
): OutputReader {
  const firstLine = Promise.withResolvers<string>();
  const waiters = new Set<() => void>();
  let failed: unknown = null;
  let isLeft = false;
  let stopped = false;
  let beforeLine: Buffer | null = Buffer.alloc(0);
  const readers = streams.map((stream) => stream.getReader());

  /** Takes the wrapper's line, the first of stdout, out of a chunk. */
  const afterFirstLine = (chunk: Uint8Array): Uint8Array => {
    if (beforeLine === null) return chunk;
    const all: Buffer = Buffer.concat([beforeLine, chunk]);
    const end = all.indexOf(10);
    beforeLine = end < 0 ? all : null;
    if (end < 0) return all.subarray(all.length);
    firstLine.resolve(all.subarray(0, end).toString("latin1").trimEnd());
    return all.subarray(end + 1);
  };
  const untilNotFull = async () => {
    while (queue.full && !stopped) await new Promise<void>((resolve) => waiters.add(resolve));
  };
  async function pump(reader: ChunkReader, stream: OutputChunk["stream"]): Promise<number | null> {
    const scanner = new EndMarkScanner(id);
    const push = (bytes: Uint8Array) => {
      if (bytes.length > 0) queue.push({ stream, bytes });
    };
    try {
      while (!stopped) {
        await untilNotFull();
        const next = await reader.read();
        if (next.done || next.value === undefined) break;
        const found = scanner.push(stream === "stdout" ? afterFirstLine(next.value) : next.value);
        push(found.bytes);
        isLeft ||= found.isLeft;
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
    for (const wake of waiters) wake();
    waiters.clear();
  };
  return {
    firstLine: firstLine.promise,
    code,
    leavesRunning: () => isLeft,
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
