import { z } from "zod";
import type { Standing } from "../../core/experiments/experiment.ts";
import { finiteOrNull, type ScoredValue, scoreOf } from "../../core/experiments/score.ts";
import type { MetricValue } from "../../core/run-task.ts";
import type { Database } from "./database.ts";
import { standing } from "./experiment-record.ts";
import { metricValue } from "./job-record.ts";
import {
  ALL,
  COLUMNS,
  createScoreQueries,
  type Goal,
  IN_FIELD,
  type Measure,
  measureRow,
  type ScoreQueries,
} from "./score-queries.ts";

/*
 * The numbers of experiments, kept so that the best of ten thousand are found by an index. Whenever a value is written,
 * the scores of its experiment are made anew: once over the jobs of its session, once over those of all sessions.
 */

interface Result extends Measure {
  /** Of the measurement; 0 for a job's own value. */
  readonly seed: number;
  readonly value: MetricValue;
}

export interface ScoreStore extends ScoreQueries {
  saveResults(job: string, standing: Standing, results: readonly Result[], at: number): void;
  /** Makes the scores of a group anew. */
  score(session: string, group: string, measures: readonly Measure[]): void;
  measuresOf(job: string): Measure[];
  saveGoal(session: string, goal: Goal): void;
}

export const SCORE_TABLES = `
  CREATE TABLE results (job TEXT NOT NULL, metric TEXT NOT NULL, source TEXT NOT NULL, bench TEXT NOT NULL,
    seed INTEGER NOT NULL, value NOT NULL, standing TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (job, metric, source, bench, seed)) WITHOUT ROWID;
  CREATE TABLE scores (scope TEXT NOT NULL, grp TEXT NOT NULL, metric TEXT NOT NULL, source TEXT NOT NULL,
    bench TEXT NOT NULL, standing TEXT NOT NULL, mean NOT NULL, finite REAL, deviation REAL, n INTEGER NOT NULL,
    jobs INTEGER NOT NULL, job TEXT NOT NULL, parent TEXT, is_control INTEGER NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (scope, grp, metric, source, bench)) WITHOUT ROWID;
  CREATE INDEX scores_by_value ON scores (scope, metric, source, bench, standing, finite);
  CREATE INDEX scores_by_parent ON scores (scope, metric, source, bench, standing, parent, at);
  CREATE INDEX scores_by_age ON scores (scope, metric, source, bench, standing, at);
  CREATE INDEX scores_by_time ON scores (scope, at, metric);
  CREATE INDEX scores_of_controls ON scores (scope, metric, source, bench, standing, at) WHERE is_control = 1;
  CREATE TABLE goals (scope TEXT NOT NULL, metric TEXT NOT NULL, direction TEXT NOT NULL, bench TEXT,
    at INTEGER NOT NULL, PRIMARY KEY (scope, metric)) WITHOUT ROWID`;

/** By which the newest measurement of a kind is found. */
export const SCORE_INDEXES = ["results_by_time ON results (metric, source, bench, at)"];

/** Values of one experiment that count: of more, the newest. */
const MOST_VALUES = 400;

const valueRow = z.object({ job: z.string(), value: metricValue, standing, seed: z.string().nullable() });
const memberRow = z.object({ parent: z.string().nullable(), is_control: z.number(), created_at: z.number() });

export function createScoreStore(database: Database): ScoreStore {
  function scoreIn(scope: string, group: string, { metric, source, bench }: Measure): void {
    const ofScope = scope === ALL ? "" : "AND experiments.session = ?";
    const session = scope === ALL ? [] : [scope];
    const values: ScoredValue[] = database.all(
      valueRow,
      // In this order, which SQLite keeps: by an index of results it would read what all experiments have in the measure.
      `SELECT results.job, results.value, results.standing, experiments.seed FROM experiments
         CROSS JOIN results ON results.job = experiments.job AND results.metric = ? AND results.source = ? AND results.bench = ?
         WHERE experiments.grp = ? ${ofScope} ORDER BY experiments.created_at DESC, results.at DESC LIMIT ${MOST_VALUES}`,
      metric,
      source,
      bench,
      group,
      ...session,
    );
    const score = scoreOf(values);
    const newest = values.find((value) => value.standing === score?.standing)?.job;
    const member =
      newest === undefined
        ? undefined
        : database.get(
            memberRow,
            `SELECT parent, created_at, (SELECT MAX(is_control) FROM experiments WHERE grp = ?) AS is_control
               FROM experiments WHERE job = ?`,
            group,
            newest,
          );
    if (!score || newest === undefined || !member) {
      database.run(`DELETE FROM scores WHERE grp = ? AND ${IN_FIELD}`, group, scope, metric, source, bench);
      return;
    }
    database.run(
      `INSERT OR REPLACE INTO scores (scope, ${COLUMNS}, finite, is_control, at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      scope,
      group,
      metric,
      source,
      bench,
      score.standing,
      score.mean,
      score.deviation,
      score.n,
      score.jobs,
      newest,
      member.parent,
      finiteOrNull(score.mean),
      member.is_control,
      member.created_at,
    );
  }

  return {
    ...createScoreQueries(database),
    saveResults(job, of, results, at) {
      for (const { metric, source, bench, seed, value } of results)
        database.run(
          // What is outdated comes late, when the newer number may be there.
          `INSERT OR ${of === "outdated" ? "IGNORE" : "REPLACE"} INTO results (job, metric, source, bench, seed, value, standing, at)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
          job,
          metric,
          source,
          bench,
          seed,
          value,
          of,
          at,
        );
    },
    score(session, group, measures) {
      for (const measure of measures) for (const scope of [ALL, session]) scoreIn(scope, group, measure);
    },
    measuresOf: (job) =>
      database.all(measureRow, "SELECT DISTINCT metric, source, bench FROM results WHERE job = ?", job),
    saveGoal(session, { metric, direction: towards, bench, at }) {
      for (const scope of [ALL, session])
        database.run(
          `INSERT INTO goals (scope, metric, direction, bench, at) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (scope, metric) DO UPDATE SET direction = excluded.direction,
             bench = coalesce(excluded.bench, bench), at = excluded.at WHERE excluded.at >= at`,
          scope,
          metric,
          towards,
          bench,
          at,
        );
    },
  };
}
