import { writeWatched } from "../jobs/store/live-store.ts";
import type { Clock } from "../shared/clock.ts";
import type { Liveness } from "./live-facts.ts";
import type { PoolReader } from "./pool-reader.ts";
import type { SessionReader } from "./session-reader.ts";

export interface Watching {
  watch(session: string, everyMs: number, listener: () => void): () => void;
  isWatched(session: string): boolean;
  close(): void;
}

export interface WatchingDeps {
  readonly readerOf: (session: string) => SessionReader | null;
  readonly pool: PoolReader;
  readonly liveness: Liveness;
  readonly clock: Clock;
}

const SHORTEST_MS = 50;
/** How often it is said anew that somebody watches, and for how long that counts: all who look read the file again. */
const SAY_MS = 20_000;
const SAID_MS = 45_000;
/** A try waits for a lock, and the thread that draws a view with it. */
const AGAIN_MS = 3_000;
/** After the end: time for others to say that they go on. */
const UNSAID_MS = 2_000;

/** Looks at files again and again, and calls listeners when what they say has changed. */
export function createWatching({ readerOf, pool, liveness, clock }: WatchingDeps): Watching {
  const counts = new Map<string, number>();
  const stops = new Set<() => void>();
  const saidAt = new Map<string, number>();
  const failedAt = new Map<string, number>();

  /** Only where a process that has the session in use hears it: other files are left alone. */
  function say(session: string, reader: SessionReader, isAlive: boolean, period: number): void {
    const now = clock.now();
    const { since, until } = reader.watched() ?? { since: now, until: 0 };
    const isSaid = now - (saidAt.get(session) ?? 0) < SAY_MS && until - now > SAY_MS;
    const isLocked = now - (failedAt.get(session) ?? 0) < AGAIN_MS;
    if (!isAlive || isSaid || isLocked) return;
    try {
      const untilNow = now + Math.max(SAID_MS, 2 * period);
      reader.write((database) => writeWatched(database, { since: until > now ? since : now, until: untilNow }));
      saidAt.set(session, now);
    } catch {
      failedAt.set(session, now); // it is locked, or an earlier version has it open
    }
  }

  /** Others who watch say it again when they look next. */
  function unsay(session: string): void {
    if (!saidAt.delete(session)) return;
    const reader = readerOf(session);
    const { since = 0, until = 0 } = (reader?.read() && reader.watched()) ?? {};
    if (!reader || until <= clock.now()) return;
    try {
      reader.write((database) => writeWatched(database, { since, until: Math.min(until, clock.now() + UNSAID_MS) }));
    } catch {
      // It ends by itself.
    }
  }

  function watch(session: string, everyMs: number, listener: () => void): () => void {
    const period = Math.max(SHORTEST_MS, everyMs);
    let sharedVersion: string | null = null;
    let shared = "";
    /** Compared by its parts: objects stay the same while they say the same. */
    const look = () => {
      const reader = readerOf(session);
      const reading = reader?.read() ?? null;
      const alive = reading && reader ? liveness.alive(reading, reader).join() : "";
      if (reading && reader) say(session, reader, alive !== "", period);
      const version = pool.version();
      if (version !== sharedVersion) {
        sharedVersion = version;
        shared = JSON.stringify([pool.read(), pool.snapshots(session)]);
      }
      return { reading, alive, shared };
    };
    let cancel = () => {};
    const stop = () => {
      cancel();
      if (!stops.delete(stop)) return;
      const left = (counts.get(session) ?? 1) - 1;
      if (left > 0) counts.set(session, left);
      else {
        counts.delete(session);
        unsay(session);
      }
    };
    counts.set(session, (counts.get(session) ?? 0) + 1);
    stops.add(stop);
    let last = look();
    const next = () => {
      cancel = clock.after(period, () => {
        const now = look();
        const isSame = now.reading === last.reading && now.alive === last.alive && now.shared === last.shared;
        last = now;
        next();
        if (!isSame) listener();
      });
    };
    next();
    return stop;
  }

  return {
    watch,
    isWatched: (session) => counts.has(session),
    close() {
      for (const stop of [...stops]) stop();
    },
  };
}
