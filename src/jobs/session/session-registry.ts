import { statSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { PromiseCache } from "../../shared/memoize-until-failure.ts";
import { openSessionStore, sessionFile } from "../store/session-store.ts";
import { allAside, lastSetAside } from "../store/set-aside.ts";
import { createSessionJobs, type JobChange, type SessionJobs, type WarmCost } from "./session-jobs.ts";

/** The sessions whose jobs this process has open, and the state files of all others. It starts nothing. */
export interface SessionRegistry {
  /** Reads the session's jobs at the first call. @throws PluginError `cancelled` once the registry is suspended */
  open(orchestrator: string): Promise<SessionJobs>;
  /** The jobs of a session that is open in this process; null for every other session. */
  inUse(orchestrator: string): Promise<SessionJobs> | null;
  /** Sessions that are open now; one that could not be opened is left out. */
  allInUse(): Promise<SessionJobs[]>;
  /**
   * Lets `use` read and write a session's jobs without opening the session for anything else; null when the session was
   * deleted.
   * @param onDamaged is told where a damaged state file was moved
   */
  visit<T>(
    orchestrator: string,
    use: (sessionJobs: SessionJobs | null) => Promise<T>,
    onDamaged: (aside: string) => void,
  ): Promise<T>;
  /** Whether the session was deleted. What cannot be read throws, and a damaged file still counts as a session. */
  isDeleted(orchestrator: string): boolean;
  /** When the session's state was last found damaged, epoch ms; null = never. */
  damagedAt(orchestrator: string): number | null;
  /** Where damaged state files of the session were moved, as far as this process found them damaged. */
  damaged(orchestrator: string): readonly string[];
  /** Deletes the session's state files. */
  remove(orchestrator: string): Promise<void>;
  /** Subscribes to every change of every job in every open session. Returns the function that unsubscribes. */
  onChange(listener: (change: JobChange) => void): () => void;
  /** Subscribes to sessions whose jobs have just been read, before any of them changes. Returns the function that unsubscribes. */
  onOpen(listener: (sessionJobs: SessionJobs) => void): () => void;
  /** From now on no session is opened. */
  suspend(): void;
  close(): Promise<void>;
}

export interface SessionRegistryDeps {
  readonly stateDir: string;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
  readonly warmCost?: WarmCost;
}

export function createSessionRegistry({ stateDir, clock, ids, log, warmCost }: SessionRegistryDeps): SessionRegistry {
  const sessions = new PromiseCache<string, SessionJobs>();
  const onFailure = (error: unknown) => log("error", "a listener failed", { reason: String(error) });
  const changes = createEmitter<JobChange>(onFailure);
  const opened = createEmitter<SessionJobs>(onFailure);
  const damaged = new Map<string, readonly string[]>();
  let suspended = false;
  const fileOf = (orchestrator: string) => sessionFile(stateDir, orchestrator);

  async function openJobs(
    orchestrator: string,
    emitter: Pick<typeof changes, "emit">,
    onDamaged: (aside: string) => void = () => {},
  ): Promise<SessionJobs> {
    const store = await openSessionStore(fileOf(orchestrator), clock);
    for (const aside of store.damaged()) {
      log("error", "a damaged state file was set aside", { orchestrator, aside });
      onDamaged(aside);
    }
    damaged.set(orchestrator, [...(damaged.get(orchestrator) ?? []), ...store.damaged()]);
    return createSessionJobs({ orchestrator, store, ids, clock, log, changes: emitter, warmCost });
  }

  const isDeleted = (orchestrator: string): boolean => {
    try {
      statSync(fileOf(orchestrator));
      return false;
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return lastSetAside(fileOf(orchestrator)) === null;
      throw error;
    }
  };

  const allInUse = async () => {
    const all = await Promise.allSettled(sessions.values());
    return all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  };

  return {
    async open(orchestrator) {
      if (suspended)
        throw new PluginError("cancelled", "OpenCode is reloading or ending; try again.", { retryable: true });
      return sessions.getOrMake(orchestrator, async () => {
        const sessionJobs = await openJobs(orchestrator, changes);
        opened.emit(sessionJobs);
        return sessionJobs;
      });
    },
    inUse: (orchestrator) => sessions.get(orchestrator),
    allInUse,
    async visit(orchestrator, use, onDamaged) {
      const open = await sessions.get(orchestrator);
      if (open) return use(open);
      if (isDeleted(orchestrator)) return use(null);
      const sessionJobs = await openJobs(orchestrator, { emit: () => {} }, onDamaged);
      try {
        return await use(sessionJobs);
      } finally {
        sessionJobs.close();
      }
    },
    isDeleted,
    damagedAt: (orchestrator) => lastSetAside(fileOf(orchestrator)),
    damaged: (orchestrator) => damaged.get(orchestrator) ?? [],
    async remove(orchestrator) {
      const open = await sessions.get(orchestrator);
      sessions.delete(orchestrator);
      damaged.delete(orchestrator);
      open?.close();
      const file = fileOf(orchestrator);
      const paths = ["", "-wal", "-shm"].map((suffix) => file + suffix).concat(allAside(file));
      for (const path of paths) await rm(path, { force: true });
    },
    onChange: (listener) => changes.on(listener),
    onOpen: (listener) => opened.on(listener),
    suspend() {
      suspended = true;
    },
    async close() {
      for (const sessionJobs of await allInUse()) sessionJobs.close();
    },
  };
}
