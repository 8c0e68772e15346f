import { closeSync, constants, openSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { randomId } from "../../shared/ids.ts";
import { isNotAlive, toProcessName } from "../../shared/process-identity.ts";
import { TEMPORARY_FOLDERS } from "./anonymous-file.ts";
import { findTool, runHostTool } from "./host-tools.ts";

/** Both ends of a pipe; the read end never blocks. Whoever takes the pair closes them. */
export interface Fifo {
  readonly readEnd: number;
  readonly writeEnd: number;
}

/** Of their names, for as long as they have some; the name of the process that makes them follows. */
const PREFIX = "opa-fifo-";
/** FIFOs made at a time. Neither runtime can make one itself, so each batch costs the run of a program. */
const BATCH = 24;
/** The pool is refilled when it holds this many FIFOs or fewer. */
const LOW = 6;

/**
 * FIFOs kept ready for the output of commands. Not the runtimes' own pipes: those of Bun and Node are pairs of sockets,
 * which cannot be opened again (`> /dev/stderr` fails) and which Bun (1.3.14) reads ahead of its reader without bound.
 * Not files either: `> /dev/stderr` and `tee /dev/stdout` would truncate what was written before. Each FIFO is used
 * once, because a command may keep an end of it open forever.
 */
export class FifoPool {
  readonly #ready: Fifo[] = [];
  #filling: Promise<void> | null = null;
  #closed = false;
  #isTidy = false;
  readonly #folders: readonly string[];

  constructor(folders: readonly string[] = TEMPORARY_FOLDERS) {
    this.#folders = folders;
  }

  /** @throws Error when none can be made */
  async takePair(): Promise<readonly [Fifo, Fifo]> {
    while (this.#ready.length < 2) await this.#fill();
    const [first, second] = this.#ready.splice(0, 2);
    this.prepare();
    return [first as Fifo, second as Fifo];
  }

  /** Refills the pool in the background, so that the next caller need not wait. */
  prepare(): void {
    // The next caller that needs a FIFO tries again and gets the error.
    if (this.#ready.length <= LOW) this.#fill().catch(() => {});
  }

  close(): void {
    this.#closed = true;
    for (const fifo of this.#ready.splice(0)) closeBoth(fifo);
  }

  #fill(): Promise<void> {
    if (!this.#isTidy) for (const folder of this.#folders) removeLeft(folder);
    this.#isTidy = true;
    this.#filling ??= makeFifos(this.#folders)
      .then((made) => {
        if (this.#closed) for (const fifo of made) closeBoth(fifo);
        else this.#ready.push(...made);
        if (this.#closed) throw new Error("the provider is closed");
      })
      .finally(() => {
        this.#filling = null;
      });
    return this.#filling;
  }
}

async function makeFifos(folders: readonly string[]): Promise<Fifo[]> {
  const mkfifo = findTool("mkfifo");
  if (mkfifo === null) throw new Error("mkfifo is not installed");
  const reasons: string[] = [];
  for (const folder of folders) {
    const prefix = join(folder, `${PREFIX}${toProcessName(randomId("batch"))}`);
    const paths = Array.from({ length: BATCH }, (_, at) => `${prefix}-${at}`);
    try {
      const { code, stderr } = await runHostTool([mkfifo, "-m", "600", ...paths]);
      if (code === 0) return openAll(paths);
      reasons.push(`${folder}: ${stderr.slice(0, 300)}`);
    } catch (error) {
      reasons.push(`${folder}: ${(error as Error).message}`);
    } finally {
      for (const path of paths) removeIfPossible(path);
    }
  }
  throw new Error(`no FIFO could be made (${reasons.join("; ")})`);
}

/** Removes the FIFOs of processes that were killed while they made them. */
function removeLeft(folder: string): void {
  const left = (name: string) => {
    const maker = name.startsWith(PREFIX) ? /^(.+)-\d+$/.exec(name.slice(PREFIX.length))?.[1] : undefined;
    return maker !== undefined && isNotAlive(maker);
  };
  try {
    for (const name of readdirSync(folder).filter(left)) removeIfPossible(join(folder, name));
  } catch {
    // Whoever makes a file in the folder is told why it cannot be used.
  }
}

function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Of another user, or in a file system that is read-only, where there is none.
  }
}

function openAll(paths: readonly string[]): Fifo[] {
  const made: Fifo[] = [];
  try {
    for (const path of paths) made.push(openBoth(path));
    return made;
  } catch (error) {
    for (const fifo of made) closeBoth(fifo);
    throw error;
  }
}

function openBoth(path: string): Fifo {
  const readEnd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    // Returns at once, because the read end is open already.
    return { readEnd, writeEnd: openSync(path, constants.O_WRONLY) };
  } catch (error) {
    closeSync(readEnd);
    throw error;
  }
}

function closeBoth({ readEnd, writeEnd }: Fifo): void {
  closeSync(readEnd);
  closeSync(writeEnd);
}
