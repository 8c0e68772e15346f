import type { OutputChunk } from "../port.ts";

// A reader that is further behind than this stalls the command, so that the heap does not fill up.
const HIGH_WATER_BYTES = 256 * 1024;

/** A bounded queue of output in order of arrival, between a process and its one reader. */
export class OutputQueue implements AsyncIterable<OutputChunk> {
  #chunks: OutputChunk[] = [];
  #queuedBytes = 0;
  #ended = false;
  #abandoned = false;
  #wake: (() => void) | null = null;
  readonly #onDrain: () => void;

  /** @param onDrain called when a full queue can take output again */
  constructor(onDrain: () => void) {
    this.#onDrain = onDrain;
  }

  get full(): boolean {
    return !this.#abandoned && this.#queuedBytes >= HIGH_WATER_BYTES;
  }

  push(chunk: OutputChunk): void {
    // A reader that left early wants no more output, and the command must not stall because of it.
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
          if (wasFull && !this.full) this.#onDrain();
          yield chunk;
        } else if (this.#ended) return;
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#abandoned = true;
      this.#chunks = [];
      this.#onDrain();
    }
  }
}
