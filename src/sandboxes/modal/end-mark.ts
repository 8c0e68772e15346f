/*
 * A command's start, output and end arrive in one stream: the wrapper writes a line before it starts the command, and a
 * mark after the command has ended. So the end of the output depends neither on who still holds the pipes nor on time, and
 * the exit code arrives with the last byte.
 */

/** First byte of the mark: a control character that output rarely contains, so that output is rarely held back. */
const MARK_BYTE = 0x1e;

const BEFORE_CODE = " ended with code ";
/** Stands behind the code where processes of the command run on, and not only for a moment. */
export const LEFT = ", and others run on";
const AFTER_CODE = "; what follows is of processes it left running]";

/** The mark as a format for the shell's printf; its argument is the exit code, maybe with `LEFT`. The text is readable, since logs contain it. */
export const endMarkFormat = (id: string): string => `\\036[${id}${BEFORE_CODE}%s${AFTER_CODE}\\n`;

export interface Scanned {
  /** What is certainly output. */
  readonly bytes: Uint8Array;
  /** The exit code, once the mark has arrived. */
  readonly code: number | null;
  /** Whether the mark says that processes of the command run on. */
  readonly isLeft: boolean;
}

/** Finds a command's mark in a stream, however the stream is split into chunks. */
export class EndMarkScanner {
  readonly #opening: Buffer;
  #held: Buffer = Buffer.alloc(0);

  constructor(id: string) {
    this.#opening = Buffer.from(`\x1e[${id}${BEFORE_CODE}`, "latin1");
  }

  push(chunk: Uint8Array): Scanned {
    const all =
      this.#held.length > 0
        ? Buffer.concat([this.#held, chunk])
        : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let at = all.indexOf(this.#opening); at >= 0; at = all.indexOf(this.#opening, at + 1)) {
      const from = at + this.#opening.length;
      const found = readCode(all.subarray(from, from + LONGEST_REST).toString("latin1"));
      if (found === "cut") return this.#holdFrom(all, at);
      if (found !== "imitation") return { bytes: all.subarray(0, at), ...found };
    }
    for (let from = all.lastIndexOf(MARK_BYTE); from >= 0 && all.length - from < this.#opening.length; ) {
      if (this.#opening.subarray(0, all.length - from).equals(all.subarray(from))) return this.#holdFrom(all, from);
      if (from === 0) break;
      from = all.lastIndexOf(MARK_BYTE, from - 1);
    }
    this.#held = Buffer.alloc(0);
    return { bytes: all, code: null, isLeft: false };
  }

  /** The bytes held back, for a stream that ended without a mark. */
  rest(): Uint8Array {
    const rest = this.#held;
    this.#held = Buffer.alloc(0);
    return rest;
  }

  #holdFrom(all: Buffer, from: number): Scanned {
    this.#held = Buffer.from(all.subarray(from));
    return { bytes: all.subarray(0, from), code: null, isLeft: false };
  }
}

const LONGEST_REST = 3 + LEFT.length + AFTER_CODE.length;

/** What follows the mark's opening: the exit code, "cut" when more bytes are needed, or text that only looks like a mark. */
function readCode(text: string): { readonly code: number; readonly isLeft: boolean } | "cut" | "imitation" {
  const [digits = ""] = /^\d{0,3}/.exec(text) ?? [];
  const after = text.slice(digits.length);
  if (after === "") return "cut";
  if (digits === "") return "imitation";
  for (const isLeft of [false, true]) {
    const rest = isLeft ? LEFT + AFTER_CODE : AFTER_CODE;
    if (after.startsWith(rest)) return { code: Number(digits), isLeft };
    if (rest.startsWith(after)) return "cut";
  }
  return "imitation";
}
