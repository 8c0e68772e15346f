import type { OutputChunk } from "../port.ts";

// A reader that lags further behind than this stalls the command rather than fill the heap.
const HIGH_WATER_BYTES = 256 * 1024;

/** Output between a process and its one reader, in order of arrival and bounded. */
export class OutputQueue implements AsyncIterable<OutputChunk> {
  #chunks: OutputChunk[] = [];
  #queuedBytes = 0;
  #ended = false;
  #abandoned = false;
  #wake: (() => void) | null = null;
  readonly #onRoom: () => void;

  /** @param onRoom called when a queue that was full has room again */
  constructor(onRoom: () => void) {
    this.#onRoom = onRoom;
  }

  get full(): boolean {
    return !this.#abandoned && this.#queuedBytes >= HIGH_WATER_BYTES;
  }

  push(chunk: OutputChunk): void {
    // A reader that left early wants no more, and the command must not stall for it.
    if (this.#ended || this.#abandoned) return;
    this.#chunks.push(chunk);
    this.#queuedBytes += chunk.bytes.length;
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk> {
    try {
      while (true) {
        const chunk = this.#chunks.shift();
        if (chunk) {
          const wasFull = this.full;
          this.#queuedBytes -= chunk.bytes.length;
          if (wasFull && !this.full) this.#onRoom();
          yield chunk;
        } else if (this.#ended) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#abandoned = true;
      this.#chunks = [];
      this.#onRoom();
    }
  }
}
