import { closeSync, readSync, writeSync } from "node:fs";
import type { Clock } from "../../shared/clock.ts";
import type { OutputChunk } from "../port.ts";
import { WorkTime } from "../work-time.ts";
import { alignedPause } from "./aligned-pause.ts";

const CHUNK_BYTES = 64 * 1024;
/** The most a pipe can hold (fs.pipe-max-size). Anything beyond it was written after the command's end. */
const FULL_PIPE_BYTES = 1024 * 1024;
/**
 * How long a command that was quiet may stand still when it then writes more at once than a pipe holds. Most commands are
 * quiet for minutes, and each look at them wakes OpenCode.
 */
const MAX_PAUSE_MS = 512;
const DISCARD_PAUSE_MS = 2;
/**
 * How long the output of a command that has ended is waited for where another process holds its pipes. That may be the
 * `tee` of a script's `exec > >(tee log)`, which nobody waits for and which still has the last lines; or a server.
 */
const HELD_MS = 500;
const HELD_PAUSE_MS = 25;
/** What processes that outlive their command may add to its log: they may write forever. */
const LOG_BYTES_AFTER_END = 16 * 1024 * 1024;
/** Outputs of one sandbox that are still read after their command's end. */
const MAX_LINGERING = 64;

// Filled and emptied without a pause in between, so one buffer serves all outputs.
const scratch = Buffer.alloc(CHUNK_BYTES);

export interface CommandOutputParts {
  /** Non-blocking descriptors. `CommandOutput` closes them and the log. */
  readonly stdout: number;
  readonly stderr: number;
  readonly log: number | null;
  readonly clock: Clock;
  /** The sandbox's outputs that are read after their command's end, oldest first. */
  readonly lingering: Set<CommandOutput>;
}

/*
 * What a command writes, read from its pipes when its reader asks. O1: nothing is read ahead while the command runs, so
 * a reader that stops reading stalls the command and memory stays bounded. O2: the output is over when the command has
 * ended and nobody holds its pipes, or `HELD_MS` later. What its children write after that goes to the log or nowhere, and
 * they are neither stalled nor killed for writing.
 */
export class CommandOutput implements AsyncIterable<OutputChunk> {
  readonly #parts: CommandOutputParts;
  readonly #open: Map<OutputChunk["stream"], number>;
  #log: number | null;
  #logBytesLeft = Number.POSITIVE_INFINITY;
  /** What was read after the command's end. */
  #rest: OutputChunk[] = [];
  #hasEnded = false;
  #over = false;
  #abandoned = false;
  #discarding = false;
  #quietSince: number;
  #wake: () => void = () => {};

  constructor(parts: CommandOutputParts) {
    this.#parts = parts;
    this.#open = new Map([
      ["stdout", parts.stdout],
      ["stderr", parts.stderr],
    ]);
    this.#log = parts.log;
    this.#quietSince = parts.clock.now();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<OutputChunk> {
    const work = new WorkTime(this.#parts.clock);
    const pause = async (ms: number) => {
      await this.#pause(ms);
      work.restart();
    };
    try {
      while (true) {
        const chunk = this.#rest.shift() ?? (this.#over ? null : this.#readAny());
        if (chunk) {
          if (work.isOver) await pause(0);
          yield chunk;
        } else if (this.#over) return;
        else await pause(this.#quietPause());
      }
    } finally {
      // A reader that left early wants no more output, and the command must not stall because of it.
      this.#abandoned = true;
      this.#rest = [];
      this.#discard();
    }
  }

  /** To be called when the command was given input or a signal, which it may answer at once. */
  expectAnswer(): void {
    this.#quietSince = this.#parts.clock.now();
    this.#wake();
  }

  /** To be called when the command has ended. */
  finish(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.expectAnswer();
    this.#takeRest(this.#parts.clock.now() + HELD_MS, new Map());
  }

  /** @param taken bytes by stream since the command's end */
  #takeRest(until: number, taken: Map<OutputChunk["stream"], number>): void {
    const isFull = (stream: OutputChunk["stream"]) => (taken.get(stream) ?? 0) >= FULL_PIPE_BYTES;
    for (const stream of [...this.#open.keys()]) {
      while (!isFull(stream)) {
        const chunk = this.#read(stream);
        if (chunk === null) break;
        taken.set(stream, (taken.get(stream) ?? 0) + chunk.bytes.length);
        if (!this.#abandoned) this.#rest.push(chunk);
      }
    }
    this.#wake();
    const { clock } = this.#parts;
    const isHeld = [...this.#open.keys()].some((stream) => !isFull(stream));
    if (isHeld && !this.#abandoned && clock.now() < until)
      clock.after(Math.min(this.#quietPause(), HELD_PAUSE_MS), () => this.#takeRest(until, taken));
    else this.#endReading();
  }

  #endReading(): void {
    if (this.#over) return;
    this.#over = true;
    this.#logBytesLeft = LOG_BYTES_AFTER_END;
    this.#wake();
    if (this.#open.size === 0) return;
    const { lingering } = this.#parts;
    lingering.add(this);
    const [oldest] = lingering;
    if (lingering.size > MAX_LINGERING) oldest?.close();
    this.#discard(); // O2
  }

  /** Closes the pipes. A child that outlived the command and still writes gets SIGPIPE. */
  close(): void {
    for (const stream of [...this.#open.keys()]) this.#end(stream);
    this.#over = true;
    this.#wake();
  }

  #readAny(): OutputChunk | null {
    return this.#read("stdout") ?? this.#read("stderr");
  }

  #read(stream: OutputChunk["stream"]): OutputChunk | null {
    const fd = this.#open.get(stream);
    if (fd === undefined) return null;
    let length = 0;
    try {
      length = readSync(fd, scratch, 0, CHUNK_BYTES, null);
    } catch (error) {
      // Empty, but a writer still has it open.
      if (["EAGAIN", "EINTR"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    }
    if (length === 0) {
      this.#end(stream);
      return null;
    }
    this.#quietSince = this.#parts.clock.now();
    const bytes = new Uint8Array(scratch.subarray(0, length));
    this.#keep(bytes);
    return { stream, bytes };
  }

  #end(stream: OutputChunk["stream"]): void {
    const fd = this.#open.get(stream);
    if (fd === undefined) return;
    this.#open.delete(stream);
    closeSync(fd);
    if (this.#open.size > 0) return;
    this.#parts.lingering.delete(this);
    if (this.#log !== null) closeSync(this.#log);
    this.#log = null;
  }

  // Before the chunk is handed on, so that the log is complete up to that chunk. The write goes to the page cache.
  #keep(bytes: Uint8Array): void {
    if (this.#log === null || this.#logBytesLeft < bytes.length) return;
    this.#logBytesLeft -= bytes.length;
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.#log, bytes, at);
    } catch {
      // A full disk costs the log, not the command. The disk watch reports the full disk.
    }
  }

  #discard(): void {
    if (this.#discarding) return;
    this.#discarding = true;
    const look = () => {
      const found = [...this.#open.keys()].filter((stream) => this.#read(stream) !== null);
      if (this.#open.size === 0) return;
      this.#parts.clock.after(found.length > 0 ? DISCARD_PAUSE_MS : this.#quietPause(), look);
    };
    look();
  }

  // Short commands are polled closely, and a command that has long been quiet costs next to nothing.
  #quietPause(): number {
    const now = this.#parts.clock.now();
    return alignedPause(now, Math.min(MAX_PAUSE_MS, Math.max(1, now - this.#quietSince)));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#parts.clock.after(ms, resolve);
      this.#wake = () => {
        cancel();
        resolve();
      };
    });
  }
}
