import { type Clock, sleep } from "../../shared/clock.ts";
import type { OutputChunk } from "../port.ts";
import { WorkTime } from "../work-time.ts";

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
  readonly #clock: Clock;

  /** @param onDrain called when a full queue can take output again */
  constructor(onDrain: () => void, clock: Clock) {
    this.#onDrain = onDrain;
    this.#clock = clock;
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
    const work = new WorkTime(this.#clock);
    try {
      while (true) {
        const chunk = this.#chunks.shift();
        if (chunk) {
          const wasFull = this.full;
          this.#queuedBytes -= chunk.bytes.length;
          if (wasFull && !this.full) this.#onDrain();
          if (work.isOver) {
            await sleep(this.#clock, 0);
            work.restart();
          }
          yield chunk;
        } else if (this.#ended) return;
        // No turn of the event loop: what is waited for may be here already.
        else await new Promise<void>((resolve) => (this.#wake = resolve));
      }
    } finally {
      this.#abandoned = true;
      this.#chunks = [];
      this.#onDrain();
    }
  }
}
