import { Buffer } from "node:buffer";
import { writeSync } from "node:fs";

/**
 * Writes a text to an open file, a pipe or a terminal, whole before it returns. The streams of the runtimes do not: Node's
 * leaves out what a full disk has no room for and Bun's does not even say that it is full; of a pipe that is read slowly
 * Bun's loses what is not read yet when the process ends.
 * @throws NodeJS.ErrnoException
 */
export function writeAll(file: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let from = 0; from < bytes.length; ) {
    try {
      from += writeSync(file, bytes, from);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
      // A pipe that is full, and which the runtime or whoever else has it open has set not to wait.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, FULL_PIPE_MS);
    }
  }
}

const FULL_PIPE_MS = 5;
