import { statfs } from "node:fs/promises";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { LocalSandbox } from "./local-sandbox.ts";

const EVERY_MS = 1000;
/** Free space that may be used up before the sandboxes are measured: measuring reads every directory. */
const NOTICEABLE_BYTES = 32 * 1024 * 1024;
const MEASURE_ANYWAY_TICKS = 60;
const MiB = 1024 * 1024;

export interface DiskWatchDeps {
  readonly rootDir: string;
  readonly hostFreeMiB: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly live: () => readonly LocalSandbox[];
  readonly sizeBytes: (path: string) => Promise<number>;
}

export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return Number(bavail) * Number(bsize);
}

/** Ends a sandbox that uses more disk than it may. Runs while there are sandboxes. */
export class DiskWatch {
  readonly #deps: DiskWatchDeps;
  #cancel: (() => void) | null = null;
  #freeAtMeasure = 0;
  #ticks = 0;

  constructor(deps: DiskWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#cancel ??= this.#deps.clock.after(EVERY_MS, () => void this.#tick());
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }

  async #tick(): Promise<void> {
    const live = this.#deps.live();
    try {
      await Promise.all(live.map((sandbox) => sandbox.enclosure.tend()));
      await this.#look(live);
    } catch (error) {
      this.#deps.log("warn", "The disk watch could not look", { error: String(error) });
    }
    this.#cancel = null;
    if (this.#deps.live().length > 0) this.start();
  }

  async #look(live: readonly LocalSandbox[]): Promise<void> {
    const free = await freeBytes(this.#deps.rootDir);
    this.#ticks += 1;
    const noticeable = Math.min(NOTICEABLE_BYTES, ...live.map((each) => (each.diskLimitMiB * MiB) / 8));
    if (this.#freeAtMeasure - free < noticeable && this.#ticks % MEASURE_ANYWAY_TICKS !== 1) {
      // Space given back must not count for what is taken next.
      this.#freeAtMeasure = Math.max(this.#freeAtMeasure, free);
      return;
    }
    this.#freeAtMeasure = free;
    const used = await Promise.all(
      live.map(async (sandbox) => ({ sandbox, bytes: await this.#deps.sizeBytes(sandbox.dirs.root) })),
    );
    for (const { sandbox, bytes } of used) {
      if (bytes > sandbox.diskLimitMiB * MiB)
        await this.#end(
          sandbox,
          `it used ${Math.ceil(bytes / MiB)} MiB of disk, more than its limit of ${sandbox.diskLimitMiB} MiB`,
        );
    }
    const largest = used.filter(({ sandbox }) => sandbox.enclosure.alive()).sort((a, b) => b.bytes - a.bytes)[0];
    // A small sandbox is not what fills the disk; ending it would not help.
    if (largest && free < this.#deps.hostFreeMiB * MiB && largest.bytes > NOTICEABLE_BYTES) {
      await this.#end(
        largest.sandbox,
        `the machine's disk is nearly full and it was the largest sandbox (${Math.ceil(largest.bytes / MiB)} MiB)`,
      );
    }
  }

  async #end(sandbox: LocalSandbox, why: string): Promise<void> {
    this.#deps.log("warn", "A sandbox was ended for its use of disk", { sandboxId: sandbox.id, why });
    await sandbox.halt({ code: "sandbox_lost", message: `The sandbox was ended: ${why}.`, retryable: false });
  }
}
