import { type Doing, NOT_KNOWN } from "../core/activity.ts";
import { countGpus } from "../core/admission.ts";
import { spendOf } from "../core/budget.ts";
import { isCosting, runningUsd } from "../core/cost.ts";
import type { Job } from "../core/job.ts";
import { loadDriver } from "../jobs/store/driver.ts";
import type { LivePart } from "../jobs/store/live-store.ts";
import type { Clock } from "../shared/clock.ts";
import { randomId } from "../shared/ids.ts";
import { type JobView, toJobView, toSnapshotView } from "../views/job-view.ts";
import type { LabView, PoolView } from "../views/lab-view.ts";
import { askProcess } from "./asking.ts";
import type { LabArchive } from "./lab.ts";
import { createLedgerReader } from "./ledger-reader.ts";
import { createSessionList } from "./list-sessions.ts";
import { createLiveness } from "./live-facts.ts";
import { openPoolReader, type PoolReading } from "./pool-reader.ts";
import { openSessionReader, type SessionReader } from "./session-reader.ts";
import { createWatching } from "./watching.ts";

export interface LabDeps {
  /** Absolute. */
  readonly stateDir: string;
  readonly clock: Clock;
}

/** Sessions whose files stay open though nobody watches them. */
const MOST_OPEN = 8;

/** Opens no file before it is asked for. @throws PluginError `config_invalid` where the runtime has no SQLite */
export async function openLab({ stateDir, clock }: LabDeps): Promise<LabArchive> {
  const driver = await loadDriver();
  const pool = openPoolReader(driver, stateDir, clock);
  const ledgers = createLedgerReader(driver, stateDir, pool);
  const readers = new Map<string, SessionReader>();
  const liveness = createLiveness(clock);
  const watching = createWatching({ readerOf, pool, liveness, clock });
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
      if (watching.isWatched(id)) continue;
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
    const reader = readerOf(session);
    const reading = reader?.read() ?? null;
    if (!reader || !reading || reading.jobs.length + reading.problems.length === 0) return null;
    const { jobs } = reading;
    const now = clock.now();
    const inPool = pool.read();
    const { isLive, part, doing } = liveness.factsOf(reading, reader);
    return {
      session,
      at: new Date(now).toISOString(),
      isLive,
      jobs: jobs.map((job) => asItStands(viewOf(job, doing(job.id), now), isLive)),
      snapshots: pool.snapshots(session).map(toSnapshotView),
      pool: toPoolView(inPool, part),
      spend: { ...spendWith(pool.warmCost(session), jobs, now), budgetUsd: part?.budgetUsd ?? null },
      problems: [...new Set([...reading.problems, ...inPool.problems, ...(part?.problems ?? [])])],
    };
  }

  function viewOf(job: Job, doing: Doing | undefined, now: number): JobView {
    const known = settled.get(job);
    if (known) return known;
    const made = toJobView(job, { ...(doing ?? NOT_KNOWN), now });
    if (made.endedAt !== undefined && !isCosting(job.compute)) settled.set(job, made);
    return made;
  }

  return {
    sessions: createSessionList(driver, stateDir, (session) => {
      try {
        return pool.projectOf(session);
      } catch {
        return null; // sessions are listed all the same
      }
    }),
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
    watch: watching.watch,
    ask: (session, request) => askProcess({ liveness, clock, ids: randomId }, readerOf(session), request),
    close() {
      watching.close();
      for (const reader of readers.values()) reader.close();
      readers.clear();
      ledgers.close();
      pool.close();
    },
  };
}

/** Limits are known to the process that has the session in use. */
function toPoolView({ leases, running, queued }: PoolReading, part: LivePart | null): PoolView {
  const counted = Object.entries(countGpus(leases, { total: 0, ...part?.gpus }));
  const limitOf = (type: string) => part?.gpus[type] ?? part?.gpus.total ?? null;
  return {
    running,
    queued,
    maxRunning: part?.maxRunning ?? null,
    gpus: Object.fromEntries(counted.map(([type, { used }]) => [type, { used, limit: limitOf(type) }])),
  };
}

/** @param warm what is kept ready for the session */
function spendWith(warm: { readonly usd: number; readonly usdPerHour: number }, jobs: readonly Job[], now: number) {
  const { usd, modelUsd, computeUsd } = spendOf(jobs, now);
  return {
    usd: usd + warm.usd,
    modelUsd,
    computeUsd: computeUsd + warm.usd,
    usdPerHour: hourlyRate(jobs) + warm.usdPerHour,
  };
}

const hourlyRate = (jobs: readonly Job[]): number => jobs.reduce((sum, { compute }) => sum + runningUsd(compute), 0);

/** Nobody works on a job whose process was killed, though that could record nothing. */
const asItStands = (job: JobView, isLive: boolean): JobView =>
  !isLive && (job.state === "running" || job.state === "starting") ? { ...job, state: "interrupted" } : job;
