import { availableParallelism, totalmem } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../shared/clock.ts";
import { createConcurrencyLimit } from "../../shared/concurrency-limit.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { isRealFolder } from "../../shared/private-files.ts";
import type { ListedSandbox, Sandbox, SandboxProvider, SandboxSpec } from "../port.ts";
import { endOrphans } from "./bubblewrap/orphans.ts";
import { type HostReserve, readReserve, readRoom, shortage } from "./disk-room.ts";
import { DiskWatch } from "./disk-watch.ts";
import { FifoStock } from "./fifo-stock.ts";
import type { EnclosurePlan, Isolation, IsolationKind, LendingRules } from "./isolation.ts";
import {
  abandonedHalves,
  halfNameOf,
  isSandboxID,
  isWhole,
  listIDs,
  makePlaces,
  makeWhole,
  placeOf,
  readMeta,
  type SandboxMeta,
  sandboxDirs,
  unname,
} from "./layout.ts";
import { LocalSandbox } from "./local-sandbox.ts";
import { createLocalSnapshots, restoreSnapshot, toNotes } from "./local-snapshots.ts";
import { probeIsolation, requireIsolation } from "./probe.ts";
import { type CopyResult, NOTHING_LEFT_OUT } from "./tree-copy.ts";
import { refuseUnsupportedMachine } from "./unsupported-machine.ts";

export interface LocalProviderDeps {
  /** Absolute; made on first use, mode 0700. */
  readonly rootDir: string;
  readonly isolation: "auto" | IsolationKind;
  readonly lending?: LendingRules;
  readonly clock: Clock;
  readonly log: Log;
  /** Unique suffixes of `[A-Za-z0-9_-]`. */
  readonly ids: () => string;
  readonly limits?: Partial<LocalLimits>;
}

export interface LocalLimits {
  readonly processes: number;
  readonly memoryMiB: number;
  readonly diskMiB: number;
  /** Inodes. */
  readonly files: number;
  /** With less of the disk free no sandbox is made, and the largest is ended. */
  readonly hostFreeMiB: number;
}

const MiB = 1024 * 1024;
const DEFAULT_PROCESSES = 512;
const DEFAULT_DISK_MIB = 20 * 1024;
/** Of what is free when a sandbox is made, it may use a quarter at most. */
const SHARE = 1 / 4;
const DEFAULT_FILES = 1_000_000;
const DEFAULT_HOST_FREE_MIB = 512;
const MEMORY_SHARE = 0.75;

export function createLocalProvider(deps: LocalProviderDeps): SandboxProvider {
  return new LocalProvider(deps);
}

/*
 * P1: a sandbox in `#live` has standing walls. P2: its directory is complete before its walls rise and is removed only
 * after they are gone.
 */
class LocalProvider implements SandboxProvider {
  readonly name = "local";
  readonly snapshots;
  readonly lent = async () => (await this.#isolation()).lent?.() ?? { lent: [], refused: [] };
  readonly #deps: LocalProviderDeps;
  readonly #watch: DiskWatch;
  readonly #reserve: () => Promise<HostReserve>;
  readonly #live = new Map<string, LocalSandbox>();
  /** Those whose walls are to go; what cannot be killed keeps them here. */
  readonly #ending = new Map<string, LocalSandbox>();
  readonly #attaching = new Map<string, Promise<LocalSandbox>>();
  readonly #fifos = new FifoStock();
  // More copies at once than processors end no sooner, but all at the end: so the first job can begin meanwhile.
  readonly #restoring = createConcurrencyLimit(Math.max(2, availableParallelism()));
  #probing: Promise<Isolation> | null = null;
  #closed = false;

  constructor(deps: LocalProviderDeps) {
    this.#deps = deps;
    const isolation = () => this.#isolation();
    const reserve = () => readReserve(deps.rootDir, deps.limits?.hostFreeMiB ?? DEFAULT_HOST_FREE_MIB);
    this.#reserve = reserve;
    this.snapshots = createLocalSnapshots({ ...deps, isolation, reserve, ours: (sandbox) => this.#ours(sandbox) });
    this.#watch = new DiskWatch({
      ...deps,
      reserve,
      room: () => readRoom(deps.rootDir),
      live: () => [...this.#live.values()],
      measure: async (path, signal) => (await isolation()).trees.measure(path, signal),
    });
  }

  create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const made = this.#make(spec, signal);
    if (!signal) return made;
    return new Promise((resolve, reject) => {
      const abort = () => {
        reject(
          new PluginError("cancelled", `The creation of sandbox ${spec.name} was cancelled.`, { retryable: false }),
        );
        // One that arrives late has no owner any more.
        made
          .then((late) => late.terminate())
          .catch((error: unknown) =>
            this.#deps.log("debug", "A cancelled creation ended", { name: spec.name, error: String(error) }),
          );
      };
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort, { once: true });
      made.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }

  async #make(spec: SandboxSpec, signal?: AbortSignal): Promise<LocalSandbox> {
    if (this.#closed)
      throw new PluginError("sandbox_create_failed", "The local provider is closed.", { retryable: false });
    if (typeof spec.network === "object") {
      throw new PluginError(
        "sandbox_create_failed",
        'A network limited to domains or CIDRs is not supported by the local provider; use "open" or "blocked".',
        { retryable: false },
      );
    }
    refuseUnsupportedMachine(spec);
    const isolation = await this.#isolation();
    const room = await readRoom(this.#deps.rootDir);
    const short = shortage(room, await this.#reserve());
    if (short !== null) {
      throw new PluginError(
        "sandbox_create_failed",
        `Could not create sandbox ${spec.name} on the file system of ${this.#deps.rootDir}: ${short}. Free some space there.`,
        { retryable: true },
      );
    }
    const id = `sbx_${this.#deps.ids()}`;
    const { root } = sandboxDirs(this.#deps.rootDir, id);
    const meta: SandboxMeta = {
      id,
      name: spec.name,
      tags: spec.tags,
      workdir: spec.workdir,
      memoryMiB: spec.memoryMiB,
      diskMiB: this.#deps.limits?.diskMiB ?? Math.min(DEFAULT_DISK_MIB, Math.floor((room.bytes / MiB) * SHARE)),
      files: this.#deps.limits?.files ?? Math.min(DEFAULT_FILES, Math.floor(room.files * SHARE)),
      network: spec.network,
      createdAt: this.#deps.clock.now(),
    };
    let restored: CopyResult = NOTHING_LEFT_OUT;
    try {
      await makeWhole(root, meta, async (dirs) => {
        const { snapshotID } = spec;
        if (snapshotID !== null)
          restored = await this.#restoring(() =>
            restoreSnapshot(isolation, this.#deps.rootDir, snapshotID, dirs, signal),
          );
      });
      return await this.#raise(isolation, meta, spec.env, restored);
    } catch (error) {
      for (const path of [halfNameOf(root), root]) await isolation.trees.remove(path);
      if (error instanceof PluginError) throw error;
      throw new PluginError(
        "sandbox_create_failed",
        `Could not create sandbox ${spec.name}: ${(error as Error).message}`,
        { cause: error, retryable: null },
      );
    }
  }

  async #raise(
    isolation: Isolation,
    meta: SandboxMeta,
    env: Readonly<Record<string, string>>,
    restored = NOTHING_LEFT_OUT,
  ): Promise<LocalSandbox> {
    const dirs = sandboxDirs(this.#deps.rootDir, meta.id);
    const limits = {
      processes: this.#deps.limits?.processes ?? DEFAULT_PROCESSES,
      memoryMiB: meta.memoryMiB ?? this.#deps.limits?.memoryMiB ?? Math.floor((totalmem() / MiB) * MEMORY_SHARE),
      diskMiB: meta.diskMiB,
      files: meta.files ?? DEFAULT_FILES,
    };
    const network = meta.network === "open" ? "open" : "blocked";
    const plan: EnclosurePlan = { id: meta.id, dirs, workdir: meta.workdir, env, network, limits };
    const enclosure = await isolation.open(plan);
    const { clock } = this.#deps;
    const parts = { id: meta.id, dirs, limits, notes: toNotes(restored, enclosure), clock, fifos: this.#fifos };
    const openView = async () => {
      const view = await isolation.open({ ...plan, env: {}, network: "blocked", isView: true });
      return new LocalSandbox({ ...parts, enclosure: view, terminate: () => view.close(null), openView: null });
    };
    const sandbox = new LocalSandbox({ ...parts, enclosure, terminate: () => this.terminate(meta.id), openView });
    this.#live.set(meta.id, sandbox);
    void sandbox.ended.then(() => {
      if (this.#live.get(meta.id) === sandbox) this.#live.delete(meta.id); // P1
    });
    if (this.#closed) {
      await sandbox.halt(null);
      throw new PluginError("sandbox_create_failed", "The local provider was closed meanwhile.", { retryable: false });
    }
    this.#watch.start();
    return sandbox;
  }

  async attach(sandboxID: string, env: Readonly<Record<string, string>>): Promise<Sandbox> {
    const live = this.#live.get(sandboxID);
    if (live?.enclosure.alive()) return live;
    const pending = this.#attaching.get(sandboxID) ?? this.#reopen(sandboxID, env);
    this.#attaching.set(sandboxID, pending);
    return pending.finally(() => this.#attaching.delete(sandboxID));
  }

  async #reopen(sandboxID: string, env: Readonly<Record<string, string>>): Promise<LocalSandbox> {
    const dirs = sandboxDirs(this.#deps.rootDir, sandboxID);
    const meta = readMeta<SandboxMeta>(dirs.root);
    if (meta === null || meta === "damaged" || !isWhole(dirs)) {
      const what = meta === null ? "no longer exists" : "is damaged: its record or a folder of it is not what was made";
      throw new PluginError("sandbox_lost", `Sandbox ${sandboxID} ${what}.`, { retryable: false });
    }
    return this.#raise(await this.#isolation(), meta, env);
  }

  async terminate(sandboxID: string): Promise<void> {
    if (!isSandboxID(sandboxID)) return;
    await this.#attaching.get(sandboxID)?.catch(() => {});
    const held = this.#live.get(sandboxID) ?? this.#ending.get(sandboxID);
    if (held) {
      this.#ending.set(sandboxID, held);
      await held.halt(null); // P2
      this.#ending.delete(sandboxID);
    }
    const { root } = sandboxDirs(this.#deps.rootDir, sandboxID);
    if (isRealFolder(root)) await (await this.#isolation()).trees.remove(await unname(root)); // P2
  }

  /** Also clears away what processes that died left half made: it has no owner. */
  async list(): Promise<readonly ListedSandbox[]> {
    await endOrphans();
    for (const path of await abandonedHalves(this.#deps.rootDir)) await (await this.#isolation()).trees.remove(path);
    const folder = placeOf(this.#deps.rootDir, "sandboxes");
    return (await listIDs(folder, isSandboxID)).flatMap((id): ListedSandbox[] => {
      const meta = readMeta<SandboxMeta>(join(folder, id));
      if (meta === null) return [];
      if (meta !== "damaged") return [{ id, tags: meta.tags ?? {}, createdAt: meta.createdAt }];
      this.#deps.log("warn", "The record of a sandbox is damaged: only its id is known", { sandboxID: id, folder });
      return [{ id, tags: {}, createdAt: null }];
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#watch.stop();
    const halted = await Promise.allSettled([...this.#live.values()].map((sandbox) => sandbox.halt(null)));
    for (const { reason } of halted.filter((each) => each.status === "rejected"))
      this.#deps.log("warn", "A sandbox could not be ended", { reason: String(reason) });
    this.#fifos.close();
  }

  #isolation(): Promise<Isolation> {
    // Only a success is remembered: the user may install what was missing.
    this.#probing ??= Promise.resolve()
      .then(() => makePlaces(this.#deps.rootDir))
      .then(() => probeIsolation(this.#deps))
      .then(requireIsolation)
      .catch((error: unknown) => {
        this.#probing = null;
        throw error;
      });
    return this.#probing;
  }

  #ours(sandbox: Sandbox): LocalSandbox {
    if (sandbox instanceof LocalSandbox) return sandbox;
    throw new PluginError("snapshot_failed", `Sandbox ${sandbox.id} is not a local one.`, { retryable: false });
  }
}
