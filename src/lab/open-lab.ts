import { NO_ACTIVITY } from "../core/activity.ts";
import { countGpus } from "../core/admission.ts";
import { spendOf } from "../core/budget.ts";
import type { Job } from "../core/job.ts";
import { loadDriver } from "../jobs/store/driver.ts";
import type { Clock } from "../shared/clock.ts";
import { type JobView, toJobView, toSnapshotView } from "../views/job-view.ts";
import type { LabView, PoolView } from "../views/lab-view.ts";
import type { LabArchive } from "./lab.ts";
import { createLedgerReader } from "./ledger-reader.ts";
import { listSessions } from "./list-sessions.ts";
import { openPoolReader, type PoolReading } from "./pool-reader.ts";
import { openSessionReader, type SessionReader } from "./session-reader.ts";

export interface LabDeps {
  /** Absolute. */
  readonly stateDir: string;
  readonly clock: Clock;
}

/** Sessions whose files stay open though nobody watches them. */
const MOST_OPEN = 8;
const SHORTEST_MS = 50;

/** Opens no file before it is asked for. @throws PluginError `config_invalid` where the runtime has no SQLite */
export async function openLab({ stateDir, clock }: LabDeps): Promise<LabArchive> {
  const driver = await loadDriver();
  const pool = openPoolReader(driver, stateDir, clock);
  const ledgers = createLedgerReader(driver, stateDir, pool);
  const readers = new Map<string, SessionReader>();
  const watched = new Map<string, number>();
  const stops = new Set<() => void>();
  /** Views of jobs that nothing changes any more. */
  const settled = new WeakMap<Job, JobView>();

  /** @returns null for what cannot be a session */
  function readerOf(session: string): SessionReader | null {
    const known = readers.get(session);
    readers.delete(session); // the newest is the last
    if (known) {
      readers.set(session, known);
      return known;
    }
    for (const [id, reader] of readers) {
      if (readers.size < MOST_OPEN) break;
      if (watched.has(id)) continue;
      reader.close();
      readers.delete(id);
    }
    try {
      const reader = openSessionReader(driver, stateDir, session);
      readers.set(session, reader);
      return reader;
    } catch {
      return null;
    }
  }

  function view(session: string): LabView | null {
    const reading = readerOf(session)?.read() ?? null;
    if (reading === null || reading.jobs.length + reading.problems.length === 0) return null;
    const { jobs } = reading;
    const now = clock.now();
    const inPool = pool.read();
    return {
      session,
      at: new Date(now).toISOString(),
      isLive: false,
      jobs: jobs.map((job) => viewOf(job, now)),
      snapshots: pool.snapshots(session).map(toSnapshotView),
      pool: toPoolView(inPool),
      spend: { ...spendOf(jobs, now), budgetUsd: null, usdPerHour: hourlyRate(jobs) },
      problems: [...reading.problems, ...inPool.problems],
    };
  }

  function viewOf(job: Job, now: number): JobView {
    const known = settled.get(job);
    if (known) return known;
    const made = toJobView(job, { place: null, live: NO_ACTIVITY, creating: null, pendingSince: null, now });
    if (made.endedAt !== undefined && job.compute.since === null) settled.set(job, made);
    return made;
  }

  return {
    sessions: (project) =>
      listSessions(stateDir, pool.projectOf).filter((session) => project === null || session.project === project),
    view,
    series: (session, jobID) => readerOf(session)?.series(jobID) ?? new Map(),
    leaderboard(session, metric, limit) {
      const project = pool.projectOf(session);
      return project === null ? null : ledgers.rank(project, metric, limit);
    },
    records: (session) => readerOf(session)?.read()?.jobs ?? [],
    experiments(session) {
      const project = pool.projectOf(session);
      return project === null ? [] : ledgers.experiments(project);
    },
    watch(session, everyMs, listener) {
      const period = Math.max(SHORTEST_MS, everyMs);
      const look = () => JSON.stringify([pool.read(), pool.snapshots(session)]);
      let [reading, shared] = [readerOf(session)?.read() ?? null, look()];
      let version = pool.version();
      let cancel = () => {};
      const stop = () => {
        cancel();
        if (!stops.delete(stop)) return;
        const left = (watched.get(session) ?? 1) - 1;
        if (left > 0) watched.set(session, left);
        else watched.delete(session);
      };
      watched.set(session, (watched.get(session) ?? 0) + 1);
      stops.add(stop);
      const next = () => {
        cancel = clock.after(period, () => {
          const [before, sharedBefore] = [reading, shared];
          reading = readerOf(session)?.read() ?? null;
          const now = pool.version();
          if (now !== version) [version, shared] = [now, look()];
          next();
          if (reading !== before || shared !== sharedBefore) listener();
        });
      };
      next();
      return stop;
    },
    ask: async () => ({
      kind: "refused",
      code: "unsupported",
      message: "Nothing can be asked for here yet.",
    }),
    close() {
      for (const stop of [...stops]) stop();
      for (const reader of readers.values()) reader.close();
      readers.clear();
      ledgers.close();
      pool.close();
    },
  };
}

/** Limits are known to the process that has the session in use. */
function toPoolView({ leases, running, queued }: PoolReading): PoolView {
  const counted = Object.entries(countGpus(leases, { total: 0 }));
  return {
    running,
    queued,
    maxRunning: null,
    gpus: Object.fromEntries(counted.map(([type, { used }]) => [type, { used, limit: null }])),
  };
}

const hourlyRate = (jobs: readonly Job[]): number =>
  jobs.reduce((sum, { compute }) => sum + (compute.since === null ? 0 : compute.usdPerHour), 0);
