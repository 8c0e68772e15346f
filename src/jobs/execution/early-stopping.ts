import { isSameCall } from "../../core/call-key.ts";
import { decideStops, type Entrant, highestRung, isSameRule, rungsOf } from "../../core/early-stopping.ts";
import { standingOf } from "../../core/experiments/experiment.ts";
import { isEnded, type Job } from "../../core/job.ts";
import type { Stopped, StopRule } from "../../core/run-task.ts";
import { type Point, positionOf } from "../../core/series.ts";
import type { Clock } from "../../shared/clock.ts";
import { createEmitter } from "../../shared/emitter.ts";
import type { Log } from "../../shared/log.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { LeaseStore } from "../store/lease-store.ts";

/** A run that is to be stopped, because others were better. */
export interface EarlyStop {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  readonly stopped: Stopped;
}

/** Compares the runs of a call that have the same rule for early stopping. A process stops only runs of its own. */
export interface EarlyStopping {
  /**
   * The run has new points. Compares only where that may change something.
   * @param begunAt when this try of its command began, epoch ms
   */
  judge(sessionJobs: SessionJobs, jobID: string, begunAt: number): void;
  /** The run's command has ended. One that has lost meanwhile is not stopped any more. */
  leave(jobID: string): void;
  onStop(listener: (stop: EarlyStop) => void): () => void;
}

/** A run whose command runs in this process, and has reported the rule's metric in this try. */
interface Runner {
  /** The highest rung at which it was good enough, in an earlier try too. */
  passed: number | null;
  judgedAt: number;
}

/** Time that a run that has lost has to end by itself: what it printed may have been the last it does. */
const GRACE_MS = 500;
/** What runs of other processes report is not heard here: it is looked at so often, when a run of this one reports. */
const LOOK_MS = 1_000;

export interface EarlyStoppingDeps {
  readonly pool: Pick<LeaseStore, "poolState">;
  /** Names this process. */
  readonly owner: string;
  readonly clock: Clock;
  readonly log: Log;
}

export function createEarlyStopping({ pool, owner, clock, log }: EarlyStoppingDeps): EarlyStopping {
  const stops = createEmitter<EarlyStop>((error) => log("error", "a listener failed", { reason: String(error) }));
  const runners = new Map<string, Runner>();
  /** Runs that have lost and are not stopped yet. */
  const losers = new Map<string, { readonly stopped: Stopped; readonly cancel: () => void }>();
  /** Of runs that have ended, their points at the rungs. */
  const ended = new Map<string, readonly Point[]>();
  let others: { readonly ids: ReadonlySet<string>; readonly at: number } = {
    ids: new Set(),
    at: Number.NEGATIVE_INFINITY,
  };

  /** Jobs that other processes run. */
  function runElsewhere(): ReadonlySet<string> {
    const now = clock.now();
    if (now - others.at >= LOOK_MS) {
      const leases = pool.poolState(now).leases.filter((lease) => lease.owner !== owner);
      others = { ids: new Set(leases.map(({ jobID }) => jobID)), at: now };
    }
    return others.ids;
  }

  function judge(sessionJobs: SessionJobs, jobID: string, begunAt: number): void {
    const job = requireJob(sessionJobs, jobID);
    const rule = job.task.run?.stop;
    if (!rule || job.state.kind !== "running") return;
    const points = sessionJobs.points(jobID, rule.metric);
    const known = runners.get(jobID);
    // Points of an earlier try are left where the command goes on behind them, which its first new one shows.
    const earlier = known ? [] : points.filter(({ at }) => at < begunAt);
    if (!known && earlier.length === points.length) return;
    const runner = known ?? { passed: highestRung(earlier, rule), judgedAt: clock.now() };
    runners.set(jobID, runner);
    // While it was away, others may have come to where it is.
    const isBack = !known && runner.passed !== null;
    const isHigher = highestRung(points, rule) !== runner.passed;
    const isLookDue = clock.now() - runner.judgedAt >= LOOK_MS;
    if (!isBack && !isHigher && (!isLookDue || runElsewhere().size === 0)) return;
    const group = groupOf(sessionJobs, job, rule).map((one) =>
      runElsewhere().has(one.id) ? sessionJobs.reload(one.id) : one,
    );
    const entrants = group.map((one) => toEntrant(sessionJobs, one, rule));
    const lost = decideStops(rule, entrants);
    for (const { id, points } of entrants) {
      const other = runners.get(id);
      if (!other || lost.has(id)) continue;
      other.passed = highestRung(points, rule);
      other.judgedAt = clock.now();
    }
    for (const [id, stopped] of lost)
      losers.set(id, { stopped, cancel: clock.after(GRACE_MS, () => stop({ sessionJobs, jobID: id, stopped })) });
  }

  function stop(early: EarlyStop): void {
    losers.delete(early.jobID);
    log("info", "a run is stopped early", { jobID: early.jobID, ...early.stopped });
    stops.emit(early);
  }

  function toEntrant(sessionJobs: SessionJobs, job: Job, rule: StopRule): Entrant {
    const { id, stopped } = job;
    const runner = runners.get(id);
    return {
      id,
      points: pointsOf(sessionJobs, job, rule),
      isRunning: job.state.kind === "running" && runner !== undefined,
      stoppedAt: (losers.get(id)?.stopped ?? stopped)?.rung ?? null,
      passed: runner?.passed ?? null,
    };
  }

  function pointsOf(sessionJobs: SessionJobs, job: Job, rule: StopRule): readonly Point[] {
    // A loss of 0 may have been the first sign of the crash that followed: no run is stopped for it.
    if (standingOf(job) === "failed") return [];
    if (isEnded(job.state)) return endedPoints(sessionJobs, job.id, rule);
    return job.startedAt === null ? [] : sessionJobs.points(job.id, rule.metric);
  }

  /** Hundreds of runs may have ended, whose series would be read again for each that is compared with them. */
  function endedPoints(sessionJobs: SessionJobs, jobID: string, rule: StopRule): readonly Point[] {
    const known = ended.get(jobID);
    if (known) return known;
    const all = sessionJobs.points(jobID, rule.metric);
    const atRungs = rungsOf(rule).flatMap((rung) => all.find((point) => positionOf(point) >= rung) ?? []);
    ended.set(jobID, [...new Set(atRungs)]);
    return atRungs;
  }

  return {
    judge(sessionJobs, jobID, begunAt) {
      try {
        judge(sessionJobs, jobID, begunAt);
      } catch (error) {
        // The run goes on, and is compared again at its next rung.
        log("warn", "could not compare a run with its siblings", { jobID, reason: String(error) });
      }
    },
    leave(jobID) {
      runners.delete(jobID);
      losers.get(jobID)?.cancel();
      losers.delete(jobID);
      if (runners.size === 0) ended.clear();
    },
    onStop: (listener) => stops.on(listener),
  };
}

/** The runs of the same call with the same rule, this one too. */
function groupOf(sessionJobs: SessionJobs, job: Job, rule: StopRule): readonly Job[] {
  if (!job.origin) return [job];
  return sessionJobs.whole
    .all()
    .filter(({ origin, task }) => task.run?.stop && isSameCall(origin, job.origin) && isSameRule(task.run.stop, rule));
}
