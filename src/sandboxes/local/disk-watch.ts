import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import { type DiskSpace, type HostReserve, toMiB } from "./free-disk-space.ts";
import type { Isolation, TreeTools } from "./isolation.ts";
import type { LocalSandbox } from "./local-sandbox.ts";
import { addSizes, type TreeSize } from "./tree-measure.ts";

const EVERY_MS = 1000;
/** Disk that may be used up between measurements, which are costly because they read every directory. */
const NOTICEABLE: DiskSpace = { bytes: 32 * 1024 * 1024, files: 4_000 };
/** Ticks of `EVERY_MS` after which sandboxes are measured even if little was used. */
const MEASURE_ANYWAY_TICKS = 60;
/** Ticks after which they are measured again when a measurement failed. */
const MEASURE_AGAIN_TICKS = 10;
const MEASURE_LIMIT_MS = 60_000;
/** A sandbox is ended once its measurement has failed for this duration and this many times in a row: it could fill the disk unseen. */
const UNMEASURED_MS = 90_000;
const UNMEASURED_TIMES = 3;
const MiB = 1024 * 1024;

export type Watched = Pick<LocalSandbox, "id" | "dirs" | "limits" | "halt"> & {
  readonly isolation: Pick<Isolation, "alive" | "maintain" | "deletedOpenFiles">;
};

export interface DiskWatchDeps {
  readonly reserve: () => Promise<HostReserve>;
  readonly free: () => Promise<DiskSpace>;
  readonly clock: Clock;
  readonly log: Log;
  readonly live: () => readonly Watched[];
  readonly measure: TreeTools["measure"];
}

/** Ends sandboxes that use more disk or more inodes than their limits. Runs while there are live sandboxes. */
export class DiskWatch {
  readonly #deps: DiskWatchDeps;
  #cancel: (() => void) | null = null;
  #ending = new AbortController();
  /** The check under way. Maintenance of the isolations does not wait for it. */
  #checking: Promise<void> | null = null;
  #freeAtMeasure: DiskSpace = { bytes: 0, files: 0 };
  #ticks = 0;
  /** By sandbox id: how many measurements in a row failed, and when (epoch ms) the first of them did. */
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
    await this.#checking;
  }

  async #tick(): Promise<void> {
    const live = this.#deps.live();
    this.#checking ??= this.#check(live)
      .catch((error: unknown) => this.#warn(error))
      .finally(() => (this.#checking = null));
    await Promise.all(live.map((sandbox) => sandbox.isolation.maintain())).catch((error: unknown) => this.#warn(error));
    this.#cancel = null;
    if (this.#deps.live().length > 0 && !this.#ending.signal.aborted) this.start();
  }

  #warn(error: unknown): void {
    this.#deps.log("warn", "The disk watch could not check the disk", { error: String(error) });
  }

  async #check(live: readonly Watched[]): Promise<void> {
    const [free, reserve] = [await this.#deps.free(), await this.#deps.reserve()];
    if (!this.#isDue(free, live)) return;
    this.#freeAtMeasure = free;
    const used: { sandbox: Watched; size: TreeSize }[] = [];
    const together = await this.#measureTogether(live);
    for (const sandbox of live) {
      const size = await this.#measure(sandbox, together.get(sandbox) ?? null);
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
        .filter(({ sandbox }) => sandbox.isolation.alive())
        .sort((a, b) => b.size[kind] - a.size[kind])[0];
      if (!largest || free[kind] >= reserve[kind]) continue;
      // Ending a small sandbox would not help: it is not what fills the disk.
      if (largest.size[kind] <= Math.min(NOTICEABLE[kind], reserve[kind])) continue;
      const { bytes, files } = largest.size;
      const size = kind === "bytes" ? toMiB(bytes) : `${files} files`;
      await this.#end(largest.sandbox, `the machine's ${what} and it was the largest sandbox (${size})`);
    }
  }

  #isDue(free: DiskSpace, live: readonly Watched[]): boolean {
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
    // Space that was freed must not offset what is used next.
    this.#freeAtMeasure = { bytes: Math.max(before.bytes, free.bytes), files: Math.max(before.files, free.files) };
    return false;
  }

  /** The sizes of the directories of those that were measured well last time. What is wrong with another shows when it is measured alone. */
  async #measureTogether(live: readonly Watched[]): Promise<ReadonlyMap<Watched, TreeSize | null>> {
    const sound = live.filter(({ id }) => !this.#failures.has(id));
    if (sound.length < 2) return new Map();
    const paths = sound.map(({ dirs }) => dirs.root);
    const sizes = await this.#limited((signal) => this.#deps.measure(paths, signal)).catch(() => []);
    return new Map(sound.map((sandbox, at) => [sandbox, sizes[at] ?? null]));
  }

  /** @param size of its directory, if it is known @returns null when the size could not be determined */
  async #measure(sandbox: Watched, size: TreeSize | null): Promise<TreeSize | null> {
    try {
      const open = await sandbox.isolation.deletedOpenFiles();
      const alone = (signal: AbortSignal) => this.#deps.measure([sandbox.dirs.root], signal);
      const all = addSizes([open, ...(size ? [size] : await this.#limited(alone))]);
      this.#failures.delete(sandbox.id);
      return all;
    } catch (error) {
      if (this.#ending.signal.aborted || !sandbox.isolation.alive()) return null;
      const why = (error as Error).message;
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
        await this.#end(sandbox, `its use of disk could not be measured ${failures.count} times in a row (${why})`);
      return null;
    }
  }

  async #limited<T>(measure: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const timed = new AbortController();
    const cancel = this.#deps.clock.after(MEASURE_LIMIT_MS, () => timed.abort());
    try {
      return await measure(AbortSignal.any([timed.signal, this.#ending.signal]));
    } catch (error) {
      throw timed.signal.aborted ? new Error("it took longer than a minute", { cause: error }) : error;
    } finally {
      cancel();
    }
  }

  async #end(sandbox: Watched, why: string): Promise<void> {
    this.#failures.delete(sandbox.id);
    this.#deps.log("warn", "A sandbox was ended because of its use of disk", { sandboxId: sandbox.id, why });
    await sandbox.halt({ code: "sandbox_lost", message: `The sandbox was ended: ${why}.`, retryable: false });
  }
}
