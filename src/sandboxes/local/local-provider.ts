import { availableParallelism } from "node:os";
import type { Clock } from "../../shared/clock.ts";
import { createConcurrencyLimit } from "../../shared/concurrency-limit.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { memoizeUntilFailure } from "../../shared/memoize-until-failure.ts";
import { isRealFolder } from "../../shared/private-files.ts";
import type { ListedSandbox, Sandbox, SandboxProvider, SandboxSpec } from "../port.ts";
import { HOME } from "./bubblewrap/bwrap-args.ts";
import { endOrphans } from "./bubblewrap/orphans.ts";
import { DiskWatch } from "./disk-watch.ts";
import { endIfLate } from "./end-if-late.ts";
import { FifoPool } from "./fifo-pool.ts";
import { type HostReserve, readFreeSpace, readReserve, refuseShortage } from "./free-disk-space.ts";
import type { LocalGpus } from "./gpus/machine-gpus.ts";
import type { IsolationBackend, IsolationKind, LendingRules } from "./isolation.ts";
import {
  abandonedDirectories,
  createAtomically,
  isComplete,
  isSandboxID,
  listSandboxes,
  makeFolders,
  moveAside,
  readMeta,
  type SandboxDirs,
  type SandboxMeta,
  sandboxDirs,
  temporaryPathOf,
} from "./layout.ts";
import { diskLimits, hostFreeMiB, type LocalLimits } from "./local-limits.ts";
import { LocalSandbox, toLocal } from "./local-sandbox.ts";
import { createLocalSnapshots, restoreSnapshot, toNotes } from "./local-snapshots.ts";
import { type Opened, openSandbox } from "./open-sandbox.ts";
import { type Fill, openWhileFilling } from "./open-while-filling.ts";
import { probeIsolation, requireIsolation } from "./probe.ts";
import { requireFilesToOpen, toShortage } from "./shortage.ts";
import { type CopyResult, NOTHING_LEFT_OUT } from "./tree-copy.ts";
import { refuseUnsupported } from "./unsupported-spec.ts";

export interface LocalProviderDeps {
  /** Absolute path; made on first use with mode 0700. */
  readonly rootDir: string;
  readonly isolation: "auto" | IsolationKind;
  readonly lending?: LendingRules;
  /** Absent = its sandboxes have none. */
  readonly gpus?: Pick<LocalGpus, "lend">;
  readonly clock: Clock;
  readonly log: Log;
  /** Unique suffixes of `[A-Za-z0-9_-]`. */
  readonly ids: () => string;
  readonly limits?: Partial<LocalLimits>;
}

export function createLocalProvider(deps: LocalProviderDeps): SandboxProvider {
  return new LocalProvider(deps);
}

/*
 * P1: a sandbox in `#live` has a running isolation. P2: its directory is complete before anything runs in its isolation and is
 * removed only after the isolation has ended.
 */
class LocalProvider implements SandboxProvider {
  readonly name = "local";
  readonly prices = null;
  readonly snapshots;
  readonly lent = async () => (await this.#backend()).lent?.() ?? { lent: [], refused: [] };
  readonly hasEnded = null;
  readonly place;
  readonly #deps: LocalProviderDeps;
  readonly #watch: DiskWatch;
  readonly #reserve: () => Promise<HostReserve>;
  readonly #live = new Map<string, LocalSandbox>();
  /** Sandboxes that have ended by themselves and whose files are still there. */
  readonly #lost = new Map<string, LocalSandbox>();
  /** Sandboxes being ended. One whose processes cannot be killed stays here. */
  readonly #ending = new Map<string, LocalSandbox>();
  readonly #attaching = new Map<string, Promise<LocalSandbox>>();
  readonly #fifos = new FifoPool();
  // More copies at a time than processors would finish no sooner, but all at the end: this way the first job starts early.
  readonly #restoring = createConcurrencyLimit(Math.max(2, availableParallelism()));
  // After a failure it is probed again: the user may have installed what was missing.
  readonly #backend = memoizeUntilFailure(async () => {
    makeFolders(this.#deps.rootDir);
    return requireIsolation(await probeIsolation(this.#deps));
  });
  #closed = false;

  constructor(deps: LocalProviderDeps) {
    this.#deps = deps;
    const reserve = () => readReserve(deps.rootDir, hostFreeMiB(deps.limits));
    this.#reserve = reserve;
    const { isolation } = deps;
    // Without namespaces each has folders of this machine of its own.
    this.place =
      isolation === "auto" || isolation === "bubblewrap" ? (workdir: string) => ({ workdir, home: HOME }) : null;
    this.snapshots = createLocalSnapshots({
      ...deps,
      backend: this.#backend,
      reserve,
      ours: toLocal,
      lost: (sandboxID) => this.#lost.get(sandboxID) ?? null,
    });
    this.#watch = new DiskWatch({
      ...deps,
      reserve,
      free: () => readFreeSpace(deps.rootDir),
      live: () => [...this.#live.values()],
      measure: async (paths, signal) => (await this.#backend()).trees.measure(paths, signal),
    });
  }

  create(spec: SandboxSpec, signal?: AbortSignal): Promise<Sandbox> {
    const made = this.#create(spec, signal);
    return signal ? endIfLate(made, spec.name, signal, this.#deps.log) : made;
  }

  async #create(spec: SandboxSpec, signal?: AbortSignal): Promise<LocalSandbox> {
    if (this.#closed)
      throw new PluginError("sandbox_create_failed", "The local provider is closed.", { retryable: false });
    refuseUnsupported(spec);
    requireFilesToOpen();
    const backend = await this.#backend();
    const free = await readFreeSpace(this.#deps.rootDir);
    refuseShortage(spec.name, this.#deps.rootDir, free, await this.#reserve());
    const id = `sbx_${this.#deps.ids()}`;
    const { root } = sandboxDirs(this.#deps.rootDir, id);
    const meta: SandboxMeta = {
      id,
      name: spec.name,
      tags: { ...spec.tags, ...spec.moreTags },
      workdir: spec.workdir,
      memoryMiB: spec.machine?.memoryLimitMiB ?? spec.memoryMiB,
      ...diskLimits(free, this.#deps.limits),
      network: spec.network,
      createdAt: this.#deps.clock.now(),
    };
    const granted = { request: spec.machine?.gpu ?? null, devices: spec.machine?.devices ?? [] };
    try {
      const fill = (dirs: SandboxDirs) =>
        openWhileFilling(
          this.#filler(backend, spec.snapshotID, dirs),
          (filled) => openSandbox(this.#deps, backend, meta, spec.env, granted, { dirs, filled }),
          signal,
        );
      const undo = ({ opened }: { readonly opened: Opened }) => opened.isolation.close(null);
      const { opened, copied } = await createAtomically(root, meta, fill, undo);
      return await this.#toLive(backend, opened, copied);
    } catch (error) {
      // Its own failure must not hide the first one: what is left is removed when this process has ended.
      await backend.trees
        .remove([temporaryPathOf(root), root])
        .catch((reason) =>
          this.#deps.log("warn", "A half-made sandbox could not be removed", { id, reason: String(reason) }),
        );
      if (error instanceof PluginError) throw error;
      const message = `Could not create sandbox ${spec.name}: ${(error as Error).message}`;
      const unknown = new PluginError("sandbox_create_failed", message, { cause: error, retryable: null });
      throw toShortage(error as Error) ?? unknown;
    }
  }

  #filler(backend: IsolationBackend, id: string | null, dirs: SandboxDirs): Fill {
    if (id === null) return async () => NOTHING_LEFT_OUT;
    const { rootDir } = this.#deps;
    return (begin, signal) =>
      this.#restoring(() => {
        begin();
        return restoreSnapshot(backend, rootDir, id, dirs, signal);
      });
  }

  /** Its directory must be complete (P2). @param copied the files that it was made from */
  async #toLive(
    backend: IsolationBackend,
    { plan, isolation, gpu }: Opened,
    copied: CopyResult,
  ): Promise<LocalSandbox> {
    const { id, dirs, limits } = plan;
    const parts = { id, dirs, limits, notes: toNotes(copied, isolation), clock: this.#deps.clock, fifos: this.#fifos };
    const openView = async () => {
      const asView = { making: null, env: {}, network: "blocked", gpus: null, isView: true } as const;
      const view = await backend.open({ ...plan, ...asView });
      return new LocalSandbox({ ...parts, isolation: view, terminate: () => view.close(null), openView: null });
    };
    const sandbox = new LocalSandbox({ ...parts, isolation, gpu, terminate: () => this.terminate(id), openView });
    this.#live.set(id, sandbox);
    void sandbox.ended.then((failure) => {
      if (this.#live.get(id) !== sandbox) return;
      this.#live.delete(id); // P1
      if (failure) this.#lost.set(id, sandbox);
    });
    if (this.#closed) {
      await sandbox.halt(null);
      throw new PluginError("sandbox_create_failed", "The local provider was closed meanwhile.", { retryable: false });
    }
    this.#watch.start();
    return sandbox;
  }

  async attach(
    sandboxID: string,
    env: Readonly<Record<string, string>>,
    devices: readonly string[] = [],
  ): Promise<Sandbox> {
    const live = this.#live.get(sandboxID);
    if (live?.isolation.alive()) return live;
    const pending = this.#attaching.get(sandboxID) ?? this.#reopen(sandboxID, env, devices);
    this.#attaching.set(sandboxID, pending);
    return pending.finally(() => this.#attaching.delete(sandboxID));
  }

  async #reopen(
    sandboxID: string,
    env: Readonly<Record<string, string>>,
    devices: readonly string[],
  ): Promise<LocalSandbox> {
    const dirs = sandboxDirs(this.#deps.rootDir, sandboxID);
    const meta = readMeta<SandboxMeta>(dirs.root);
    if (meta === null || meta === "damaged" || !isComplete(dirs)) {
      const what = meta === null ? "no longer exists" : "is damaged: its record or one of its folders was replaced";
      throw new PluginError("sandbox_lost", `Sandbox ${sandboxID} ${what}.`, { retryable: false });
    }
    const backend = await this.#backend();
    const opened = await openSandbox(this.#deps, backend, meta, env, { request: null, devices }, null);
    return this.#toLive(backend, opened, NOTHING_LEFT_OUT);
  }

  async terminate(sandboxID: string): Promise<void> {
    if (!isSandboxID(sandboxID)) return;
    await this.#attaching.get(sandboxID)?.catch(() => {}); // a failed attach has nothing to end
    const sandbox = this.#live.get(sandboxID) ?? this.#ending.get(sandboxID);
    this.#lost.delete(sandboxID);
    if (sandbox) {
      this.#ending.set(sandboxID, sandbox);
      await sandbox.halt(null); // P2
      this.#ending.delete(sandboxID);
    }
    const { root } = sandboxDirs(this.#deps.rootDir, sandboxID);
    if (isRealFolder(root)) await (await this.#backend()).trees.remove([moveAside(root)]); // P2
  }

  /** Also removes the directories that dead processes left half made, because no sandbox owns them. */
  async list(): Promise<readonly ListedSandbox[]> {
    await endOrphans();
    const abandoned = await abandonedDirectories(this.#deps.rootDir);
    if (abandoned.length > 0) await (await this.#backend()).trees.remove(abandoned);
    return listSandboxes(this.#deps.rootDir, (id, folder) =>
      this.#deps.log("warn", "The record of a sandbox is damaged: only its id is known", { sandboxID: id, folder }),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#watch.stop();
    const halted = await Promise.allSettled([...this.#live.values()].map((sandbox) => sandbox.halt(null)));
    for (const { reason } of halted.filter((each) => each.status === "rejected"))
      this.#deps.log("warn", "A sandbox could not be ended", { reason: String(reason) });
    this.#fifos.close();
  }
}
