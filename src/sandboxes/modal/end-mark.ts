/*
 * A command's output, its start and its end come down one stream: the wrapper writes a line before the command exists
 * and a mark after it has ended. So the end of the output does not depend on who still holds the pipes, nor on time, and
 * the exit code arrives with the last byte.
 */

/** Opens the mark; a control character nobody's output is full of, so that nothing is held back in vain. */
const MARK_BYTE = 0x1e;

/** The mark as a format of the shell's printf, with the exit code as its argument. A log that holds it reads well. */
export const endMarkFormat = (id: string): string =>
  `\\036[${id} ended with code %s; what follows is of processes it left running]\\n`;

const LONGEST_REST = 80;

/** Finds the mark of one command in a stream, however the stream is cut. */
export class EndMarkScanner {
  readonly #opening: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(id: string) {
    this.#opening = Buffer.from(`\x1e[${id} ended with code `, "latin1");
  }

  /** @returns the bytes that are certainly output, and the exit code once the mark has been seen */
  push(chunk: Uint8Array): { readonly bytes: Uint8Array; readonly code: number | null } {
    const all =
      this.#held.length > 0
        ? Buffer.concat([this.#held, chunk])
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    const at = all.indexOf(this.#opening);
    if (at >= 0) {
      const rest = all.subarray(at + this.#opening.length, at + this.#opening.length + LONGEST_REST).toString("latin1");
      const code = /^(\d{1,3});.*\]/.exec(rest)?.[1];
      if (code !== undefined) return { bytes: all.subarray(0, at), code: Number(code) };
      // Cut inside the mark, unless it is somebody's imitation.
      if (rest.length < LONGEST_REST) return this.#holdFrom(all, at);
    }
    for (let from = all.lastIndexOf(MARK_BYTE); from >= 0 && all.length - from < this.#opening.length; ) {
      if (this.#opening.subarray(0, all.length - from).equals(all.subarray(from))) return this.#holdFrom(all, from);
      if (from === 0) break;
      from = all.lastIndexOf(MARK_BYTE, from - 1);
    }
    this.#held = Buffer.alloc(0);
    return { bytes: all, code: null };
  }

  /** What was held back, for a stream that ended without the mark. */
  rest(): Uint8Array {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  #holdFrom(all: Buffer, from: number) {
    this.#held = Buffer.from(all.subarray(from));
    return { bytes: all.subarray(0, from), code: null };
  }
}
