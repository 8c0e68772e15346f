import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { type DiskRoom, type HostReserve, toMiB } from "./disk-room.ts";
import type { Enclosure } from "./isolation.ts";
import type { LocalSandbox } from "./local-sandbox.ts";
import type { TreeSize } from "./tree-measure.ts";

const EVERY_MS = 1000;
/** What may be used up before the sandboxes are measured: measuring reads every directory. */
const NOTICEABLE: DiskRoom = { bytes: 32 * 1024 * 1024, files: 4_000 };
const MEASURE_ANYWAY_TICKS = 60;
/** After a measurement that failed. */
const MEASURE_AGAIN_TICKS = 10;
const MEASURE_LIMIT_MS = 60_000;
/** For how long a sandbox may go unmeasured, and how often in a row at least: it could fill the disk unseen. */
const UNMEASURED_MS = 90_000;
const UNMEASURED_TIMES = 3;
const MiB = 1024 * 1024;

export type Watched = Pick<LocalSandbox, "id" | "dirs" | "limits" | "halt"> & {
  readonly enclosure: Pick<Enclosure, "alive" | "tend" | "held">;
};

export interface DiskWatchDeps {
  readonly reserve: () => Promise<HostReserve>;
  readonly room: () => Promise<DiskRoom>;
  readonly clock: Clock;
  readonly log: Log;
  readonly live: () => readonly Watched[];
  readonly measure: (path: string, signal: AbortSignal) => Promise<TreeSize>;
}

/** Ends a sandbox that uses more disk, or more inodes, than it may. Runs while there are sandboxes. */
export class DiskWatch {
  readonly #deps: DiskWatchDeps;
  #cancel: (() => void) | null = null;
  #ending = new AbortController();
  /** One at a time, and the walls are tended meanwhile. */
  #looking: Promise<void> | null = null;
  #freeAtMeasure: DiskRoom = { bytes: 0, files: 0 };
  #ticks = 0;
  /** By sandbox: measurements in a row that failed, and when the first of them did. */
  readonly #failures = new Map<string, { readonly count: number; readonly since: number }>();

  constructor(deps: DiskWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    if (this.#ending.signal.aborted) this.#ending = new AbortController();
    this.#cancel ??= this.#deps.clock.after(EVERY_MS, () => void this.#tick());
  }

  async stop(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    this.#ending.abort();
    await this.#looking;
  }

  async #tick(): Promise<void> {
    const live = this.#deps.live();
    this.#looking ??= this.#look(live)
      .catch((error: unknown) => this.#warn(error))
      .finally(() => (this.#looking = null));
    await Promise.all(live.map((sandbox) => sandbox.enclosure.tend())).catch((error: unknown) => this.#warn(error));
    this.#cancel = null;
    if (this.#deps.live().length > 0 && !this.#ending.signal.aborted) this.start();
  }

  #warn(error: unknown): void {
    this.#deps.log("warn", "The disk watch could not look", { error: String(error) });
  }

  async #look(live: readonly Watched[]): Promise<void> {
    const [free, reserve] = [await this.#deps.room(), await this.#deps.reserve()];
    if (!this.#isDue(free, live)) return;
    this.#freeAtMeasure = free;
    const used: { sandbox: Watched; size: TreeSize }[] = [];
    for (const sandbox of live) {
      const size = await this.#measure(sandbox);
      if (size) used.push({ sandbox, size });
    }
    for (const { sandbox, size } of used) {
      const { diskMiB, files } = sandbox.limits;
      if (size.bytes > diskMiB * MiB)
        await this.#end(sandbox, `it used ${toMiB(size.bytes)} of disk, more than its limit of ${diskMiB} MiB`);
      else if (size.files > files)
        await this.#end(sandbox, `it made ${size.files} files (inodes), more than its limit of ${files}`);
    }
    for (const [kind, what] of [
      ["bytes", "disk is nearly full"],
      ["files", "file system has nearly no inodes left"],
    ] as const) {
      const largest = used
        .filter(({ sandbox }) => sandbox.enclosure.alive())
        .sort((a, b) => b.size[kind] - a.size[kind])[0];
      if (!largest || free[kind] >= reserve[kind]) continue;
      // A small sandbox is not what fills the disk; ending it would not help.
      if (largest.size[kind] <= Math.min(NOTICEABLE[kind], reserve[kind])) continue;
      const { bytes, files } = largest.size;
      const size = kind === "bytes" ? toMiB(bytes) : `${files} files`;
      await this.#end(largest.sandbox, `the machine's ${what} and it was the largest sandbox (${size})`);
    }
  }

  #isDue(free: DiskRoom, live: readonly Watched[]): boolean {
    this.#ticks += 1;
    const before = this.#freeAtMeasure;
    const smallest = (limits: readonly number[], most: number) => Math.min(most, ...limits.map((limit) => limit / 8));
    const bytes = smallest(
      live.map(({ limits }) => limits.diskMiB * MiB),
      NOTICEABLE.bytes,
    );
    const files = smallest(
      live.map(({ limits }) => limits.files),
      NOTICEABLE.files,
    );
    const every = live.some(({ id }) => this.#failures.has(id)) ? MEASURE_AGAIN_TICKS : MEASURE_ANYWAY_TICKS;
    if (before.bytes - free.bytes >= bytes || before.files - free.files >= files) return true;
    if (this.#ticks % every === 1) return true;
    // Space given back must not count for what is taken next.
    this.#freeAtMeasure = { bytes: Math.max(before.bytes, free.bytes), files: Math.max(before.files, free.files) };
    return false;
  }

  /** null where it could not be told. */
  async #measure(sandbox: Watched): Promise<TreeSize | null> {
    const timed = new AbortController();
    const cancel = this.#deps.clock.after(MEASURE_LIMIT_MS, () =>
      timed.abort(new Error("it took longer than a minute")),
    );
    try {
      const held = await sandbox.enclosure.held();
      const size = await this.#deps.measure(sandbox.dirs.root, AbortSignal.any([timed.signal, this.#ending.signal]));
      this.#failures.delete(sandbox.id);
      return { bytes: size.bytes + held.bytes, files: size.files + held.files };
    } catch (error) {
      if (this.#ending.signal.aborted || !sandbox.enclosure.alive()) return null;
      const why = timed.signal.aborted ? "it took longer than a minute" : (error as Error).message;
      const now = this.#deps.clock.now();
      const former = this.#failures.get(sandbox.id) ?? { count: 0, since: now };
      const failures = { ...former, count: former.count + 1 };
      this.#failures.set(sandbox.id, failures);
      this.#deps.log("warn", "A sandbox could not be measured", {
        sandboxId: sandbox.id,
        failures: failures.count,
        why,
      });
      if (failures.count >= UNMEASURED_TIMES && now - failures.since >= UNMEASURED_MS)
        await this.#end(
          sandbox,
          `what it uses of the disk could not be measured ${failures.count} times in a row (${why})`,
        );
      return null;
    } finally {
      cancel();
    }
  }

  async #end(sandbox: Watched, why: string): Promise<void> {
    this.#failures.delete(sandbox.id);
    this.#deps.log("warn", "A sandbox was ended for its use of disk", { sandboxId: sandbox.id, why });
    await sandbox.halt({ code: "sandbox_lost", message: `The sandbox was ended: ${why}.`, retryable: false });
  }
}
