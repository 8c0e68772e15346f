import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";

// Output beyond this goes to a file, so that a gigabyte of output does not use a gigabyte of memory.
const IN_MEMORY = 1024 * 1024;

/** The whole output of one stream of a command, which can be read from any offset. */
export class Spool {
  readonly #path: string;
  #chunks: Buffer[] = [];
  #fd: number | null = null;
  #size = 0;
  #ended = false;
  #wake: (() => void)[] = [];

  constructor(path: string) {
    this.#path = path;
  }

  get size(): number {
    return this.#size;
  }

  get ended(): boolean {
    return this.#ended;
  }

  append(bytes: Uint8Array): void {
    if (this.#ended || bytes.length === 0) return;
    this.#size += bytes.length;
    if (this.#fd === null && this.#size > IN_MEMORY) this.#spill();
    if (this.#fd === null) this.#chunks.push(Buffer.from(bytes));
    else this.#writeAll(bytes);
    this.#notify();
  }

  end(): void {
    this.#ended = true;
    this.#notify();
  }

  read(offset: number, maxBytes: number): Uint8Array {
    const length = Math.max(0, Math.min(maxBytes, this.#size - offset));
    if (length === 0) return new Uint8Array(0);
    if (this.#fd === null) {
      if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
      return this.#chunks[0]?.subarray(offset, offset + length) ?? new Uint8Array(0);
    }
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, readSync(this.#fd, bytes, 0, length, offset));
  }

  /** Resolves when there is output beyond `offset`, when the output has ended, or when `signal` aborts. */
  async more(offset: number, signal: AbortSignal): Promise<void> {
    if (this.#size > offset || this.#ended || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done);
        resolve();
      };
      this.#wake.push(done);
      signal.addEventListener("abort", done);
    });
  }

  /** Deletes the output. It cannot be read any more. */
  drop(): void {
    this.end();
    this.#chunks = [];
    this.#size = 0;
    if (this.#fd === null) return;
    closeSync(this.#fd);
    this.#fd = null;
    unlinkSync(this.#path);
  }

  #spill(): void {
    this.#fd = openSync(this.#path, "w+");
    for (const chunk of this.#chunks) this.#writeAll(chunk);
    this.#chunks = [];
  }

  #writeAll(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd as number, bytes, at);
  }

  #notify(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
