import { dirname, join } from "node:path";
import { z } from "zod";
import { isControlName } from "../../core/experiments/control.ts";
import type { Experiment, ExperimentKeys, Measured } from "../../core/experiments/experiment.ts";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { type Database, openDatabase } from "./database.ts";
import { createExperimentQueries, type ExperimentQueries } from "./experiment-queries.ts";
import { experimentRecord, measuredRecord } from "./experiment-record.ts";
import { json } from "./rows.ts";
import type { Goal } from "./score-queries.ts";
import { createScoreStore, SCORE_INDEXES, SCORE_TABLES, type ScoreStore } from "./score-store.ts";

/** One experiment to be kept. */
export interface ExperimentEntry {
  readonly experiment: Experiment;
  readonly keys: ExperimentKeys;
  /** What its call asked to be compared by; null = nothing. */
  readonly goal: Goal | null;
}

/** Runs of the same command, parameters, environment and GPU. */
export interface Sought {
  readonly tried: string;
  readonly gpuWanted: string | null;
  /** null = of all sessions. */
  readonly session: string | null;
  /** Jobs that are not meant. */
  readonly except: readonly string[];
}

/**
 * The experiments of one project, on disk, of all its sessions. A row says which session wrote it; nothing else of a
 * session is kept, and no task of an agent and no output at all.
 */
export interface ExperimentStore extends ScoreStore, ExperimentQueries {
  /** Inserts or replaces these, in one transaction. */
  save(session: string, experiments: readonly ExperimentEntry[], measurements: readonly Measured[]): void;
  /** What is kept of a run that measures. */
  measured(by: string): Measured | null;
  sessionOf(job: string): string | null;
  /** Everything that is kept of a session's jobs, as it was written: by job. */
  recordsOf(session: string): ReadonlyMap<string, string>;
  /** Whether there is any, whatever files it started from. */
  wasTried(sought: Sought): boolean;
  /**
   * Of those that started from the same files the one that says most: it has completed, or may still; of several the newest.
   * @param start as in `ExperimentKeys`
   */
  earlierRun(sought: Sought, start: string | null): Experiment | null;
  saveBranch(job: string, branch: string): void;
  branchOf(job: string): string | null;
  /** Whether the file was made by this process, or made anew, since this was asked last: what was in it before is not in it now. */
  wasMade(): boolean;
  /** New paths of damaged files that were set aside. */
  damaged(): readonly string[];
  close(): void;
}

const MIGRATIONS = [
  `CREATE TABLE experiments (job TEXT PRIMARY KEY, session TEXT NOT NULL, grp TEXT NOT NULL, tried TEXT, start TEXT,
     seed TEXT, parent TEXT, is_control INTEGER NOT NULL, created_at INTEGER NOT NULL, usd REAL NOT NULL,
     gpu_seconds REAL NOT NULL, branch TEXT, record TEXT NOT NULL);
   CREATE INDEX experiments_by_session ON experiments (session);
   CREATE INDEX experiments_by_group ON experiments (grp, created_at);
   CREATE INDEX experiments_by_tried ON experiments (tried, created_at);
   CREATE TABLE measurements (job TEXT PRIMARY KEY, session TEXT NOT NULL, measured TEXT NOT NULL, usd REAL NOT NULL,
     gpu_seconds REAL NOT NULL, record TEXT NOT NULL);
   CREATE INDEX measurements_by_session ON measurements (session);
   CREATE INDEX measurements_by_measured ON measurements (measured);
   ${SCORE_TABLES}`,
];

/** Of the file's tables. */
export const LEDGER_VERSION = MIGRATIONS.length;

const recordRow = z.object({ job: z.string(), record: z.string() });
const earlierRow = z.object({ id: z.string(), record: json(experimentRecord) });
const measuredRow = z.object({ id: z.string(), record: json(measuredRecord) });
const jobRow = z.object({ job: z.string() });
const groupRow = z.object({ grp: z.string() });
const sessionRow = z.object({ session: z.string() });
const branchRow = z.object({ branch: z.string().nullable() });

const SOUGHT = `tried = ? AND json_extract(record, '$.gpuWanted') IS ? AND (? IS NULL OR session = ?)
  AND job NOT IN (SELECT value FROM json_each(?))`;
const valuesOf = ({ tried, gpuWanted, session, except }: Sought) =>
  [tried, gpuWanted, session, session, JSON.stringify(except)] as const;
/** What starts from a job without any files yet waits until those of its sandbox are frozen. */
const HAS_START = "(start IS NOT NULL OR parent IS NULL)";

/** File of a project's experiments. @param projectID as `projectID` makes it */
export const ledgerFile = (stateDir: string, projectID: string): string =>
  join(stateDir, "projects", `${projectID}.db`);

export async function openExperimentStore(
  file: string,
  clock: Pick<Clock, "now"> = systemClock,
): Promise<ExperimentStore> {
  let isMade = false;
  const database = await openDatabase(file, MIGRATIONS, {
    clock,
    stateDir: dirname(dirname(file)),
    isShared: true,
    sideIndexes: SCORE_INDEXES,
    onNew: () => {
      isMade = true;
    },
  });
  const queries = createExperimentQueries(database);
  const scores = createScoreStore(database);

  return {
    ...queries,
    ...scores,
    save: (session, experiments, measurements) =>
      database.transaction(() => {
        for (const entry of experiments) saveExperiment(session, entry);
        for (const measured of measurements) saveMeasured(session, measured);
      }),
    measured: (by) =>
      database.get(measuredRow, "SELECT job AS id, record FROM measurements WHERE job = ?", by)?.record ?? null,
    sessionOf: (job) => database.get(sessionRow, "SELECT session FROM experiments WHERE job = ?", job)?.session ?? null,
    recordsOf: (session) =>
      new Map(
        database
          .all(
            recordRow,
            "SELECT job, record FROM experiments WHERE session = ? UNION ALL SELECT job, record FROM measurements WHERE session = ?",
            session,
            session,
          )
          .map(({ job, record }) => [job, record]),
      ),
    wasTried: (sought) =>
      database.get(jobRow, `SELECT job FROM experiments WHERE ${SOUGHT} LIMIT 1`, ...valuesOf(sought)) !== undefined,
    earlierRun: (sought, start) =>
      database.get(
        earlierRow,
        `SELECT job AS id, record FROM experiments WHERE ${SOUGHT} AND start IS ? AND ${HAS_START}
           ORDER BY CASE json_extract(record, '$.standing') WHEN 'final' THEN 0 WHEN 'running' THEN 1 ELSE 2 END,
             created_at DESC LIMIT 1`,
        ...valuesOf(sought),
        start,
      )?.record ?? null,
    saveBranch: (job, branch) => database.run("UPDATE experiments SET branch = ? WHERE job = ?", branch, job),
    branchOf: (job) => database.get(branchRow, "SELECT branch FROM experiments WHERE job = ?", job)?.branch ?? null,
    wasMade() {
      const was = isMade;
      isMade = false;
      return was;
    },
    damaged: () => database.damaged(),
    close: () => database.close(),
  };

  function saveExperiment(session: string, { experiment, keys, goal }: ExperimentEntry): void {
    const record = JSON.stringify(experiment);
    const { job, standing, results, createdAt } = experiment;
    const former = groupOf(database, job);
    const isOutdating = outdate(experiment);
    database.run(
      `INSERT INTO experiments (job, session, grp, tried, start, seed, parent, is_control, created_at, usd, gpu_seconds, record)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (job) DO UPDATE SET grp = excluded.grp, start = excluded.start, usd = excluded.usd,
         gpu_seconds = excluded.gpu_seconds, record = excluded.record`,
      job,
      session,
      keys.group,
      keys.tried,
      keys.start,
      experiment.seed,
      experiment.parent,
      Number(isControlName(experiment.description, experiment.params)),
      createdAt,
      experiment.usd,
      experiment.gpuSeconds,
      record,
    );
    scores.saveResults(
      job,
      standing,
      results.map(({ metric, source, value }) => ({ metric, source, bench: "", seed: 0, value })),
      createdAt,
    );
    if (goal) scores.saveGoal(session, goal);
    if (former === keys.group && !isOutdating) {
      scores.score(
        session,
        former,
        results.map(({ metric, source }) => ({ metric, source, bench: "" })),
      );
      return;
    }
    // Its files have become known or others, or it was measured before it had metrics of its own.
    const measures = scores.measuresOf(job);
    if (former !== null && former !== keys.group) scores.score(session, former, measures);
    scores.score(session, keys.group, measures);
  }

  /**
   * Marks what was measured of a job before its latest turn. Call it before the job is written.
   * @returns whether something may have been marked
   */
  function outdate({ job, turns }: Experiment): boolean {
    const former = turnsOf(job);
    if (turns === null || (former !== undefined && (former === null || former >= turns))) return false;
    // A measurement of an earlier version tells nothing. What is there when the job gets a turn was measured before it.
    const unknown = former === undefined ? turns : -1;
    database.run(
      `UPDATE results SET standing = 'outdated' WHERE job = ? AND bench <> '' AND NOT EXISTS (
         SELECT 1 FROM measurements WHERE measured = results.job AND json_extract(record, '$.bench') = results.bench
         AND json_extract(record, '$.seed') = results.seed AND json_array_length(record, '$.values') > 0
         AND coalesce(json_extract(record, '$.turns'), ?) >= ?)`,
      job,
      unknown,
      turns,
    );
    return true;
  }

  /** undefined = the job is not kept. */
  function turnsOf(job: string): number | null | undefined {
    return queries.experiment(job)?.turns;
  }

  function saveMeasured(session: string, measured: Measured): void {
    const { by, job, source, bench, metric, direction, seed, turns, values, at, usd, gpuSeconds } = measured;
    database.run(
      `INSERT INTO measurements (job, session, measured, usd, gpu_seconds, record) VALUES (?, ?, ?, ?, ?, ?)
       ON CONFLICT (job) DO UPDATE SET usd = excluded.usd, gpu_seconds = excluded.gpu_seconds, record = excluded.record`,
      by,
      session,
      job,
      usd,
      gpuSeconds,
      JSON.stringify(measured),
    );
    if (values.length === 0) return;
    scores.saveGoal(session, { metric, direction, bench, at });
    scores.saveResults(
      job,
      turns !== null && turns < (turnsOf(job) ?? 0) ? "outdated" : "final",
      values.map(([name, value]) => ({ metric: name, source, bench, seed, value })),
      at,
    );
    const group = groupOf(database, job);
    if (group !== null)
      scores.score(
        session,
        group,
        values.map(([name]) => ({ metric: name, source, bench })),
      );
  }
}

const groupOf = (database: Database, job: string): string | null =>
  database.get(groupRow, "SELECT grp FROM experiments WHERE job = ?", job)?.grp ?? null;
