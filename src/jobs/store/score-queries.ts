import { z } from "zod";
import { chooseControl } from "../../core/experiments/control.ts";
import type { Standing } from "../../core/experiments/experiment.ts";
import { BY_STANDING } from "../../core/experiments/score.ts";
import type { Direction, MetricSource, MetricValue } from "../../core/run-task.ts";
import type { Database } from "./database.ts";
import { metricSource, standing } from "./experiment-record.ts";
import { direction, metricValue } from "./job-record.ts";

/* What is asked of the scores that score-store.ts keeps. Each question is answered by an index. */

/** Numbers that can be compared: one metric, measured in one way. */
export interface Measure {
  readonly metric: string;
  readonly source: MetricSource;
  /** The conditions of a benchmark; "" = none measured it. */
  readonly bench: string;
}

/** What a call or a benchmark asked to be compared by. */
export interface Goal {
  readonly metric: string;
  readonly direction: Direction;
  /** null = it was no benchmark. */
  readonly bench: string | null;
  readonly at: number;
}

/** An experiment's number in one measure. */
export interface ScoreRow extends Measure {
  readonly group: string;
  readonly standing: Standing;
  readonly mean: MetricValue;
  readonly deviation: number | null;
  readonly n: number;
  /** Jobs whose values count. */
  readonly jobs: number;
  /** The newest of them. */
  readonly job: string;
  readonly parent: string | null;
}

/** What to look among. @param session null = all sessions */
export interface Field extends Measure {
  readonly session: string | null;
}

/** What is asked of the scores. */
export interface ScoreQueries {
  newestGoal(session: string | null, metric: string | null): Goal | null;
  /** Metrics of the newest experiments, the most frequent first, with how many have them. */
  usualMetrics(session: string | null): { readonly metric: string; readonly n: number }[];
  /** Every metric that an experiment has, by name. */
  allMetrics(session: string | null): string[];
  /** The ways in which a metric was measured, the one that measured last first. */
  measures(session: string | null, metric: string): (Measure & { readonly n: number })[];
  /** The best of those that are final, then those whose mean is no number. */
  best(field: Field, direction: Direction, limit: number): ScoreRow[];
  /** Those of one measure that are not ranked among `ranked`: not final, or of another measure. By standing, the newest first. */
  others(field: Field, ranked: Measure, limit: number): ScoreRow[];
  /** How many are final in this measure. */
  countFinal(field: Field): number;
  /** How many experiments have the metric in any way. */
  countAll(session: string | null, metric: string): number;
  /** The final score of an experiment that has this job. */
  scoreOfJob(field: Field, job: string): ScoreRow | null;
  /** The job that the most started from, of those with a number of their own. @param group the experiment that it is of; null = any */
  commonParent(field: Field, group: string | null): string | null;
  /** The experiment that is called a control; null = none. */
  namedControl(field: Field): ScoreRow | null;
  /** The newest that started from this job; null = from any or none. */
  startedFrom(field: Field, parent: string | null, limit: number): ScoreRow[];
  /** Of an experiment's jobs the one with the best mean over what was measured of it. */
  bestJob(field: Field, group: string, direction: Direction): string | null;
  /** What the jobs of an experiment and their measurements cost. */
  costOf(group: string, session: string | null): { readonly usd: number; readonly gpuSeconds: number };
}

/** Scope of what is counted over all sessions; no session has this id. */
export const ALL = "";
/** The newest scores, by which the usual metrics are known. */
const MOST_RECENT = 2_000;

export const measureRow = z.object({ metric: z.string(), source: metricSource, bench: z.string() });
const goalRow = z.object({ metric: z.string(), direction, bench: z.string().nullable(), at: z.number() });
const countRow = z.object({ n: z.number() });
const jobRow = z.object({ job: z.string() });
const candidateRow = z.object({
  group: z.string(),
  n: z.number(),
  standing,
  description: z.string(),
  params: z
    .string()
    .transform((text) => z.record(z.string(), z.union([z.string(), z.number()])).parse(JSON.parse(text))),
  call: z.string().nullable(),
});
/** Jobs that are looked at for the control, of those that are called so the newest. */
const MOST_CANDIDATES = 1_000;
const costRow = z.object({ usd: z.number().nullable(), gpu_seconds: z.number().nullable() });
const scoreRow = z
  .object({
    grp: z.string(),
    metric: z.string(),
    source: metricSource,
    bench: z.string(),
    standing,
    mean: metricValue,
    deviation: z.number().nullable(),
    n: z.number(),
    jobs: z.number(),
    job: z.string(),
    parent: z.string().nullable(),
  })
  .transform(({ grp, ...row }): ScoreRow => ({ ...row, group: grp }));

export const COLUMNS = "grp, metric, source, bench, standing, mean, deviation, n, jobs, job, parent";
export const IN_FIELD = "scope = ? AND metric = ? AND source = ? AND bench = ?";

export function createScoreQueries(database: Database): ScoreQueries {
  const scopeOf = (session: string | null) => session ?? ALL;
  const fieldOf = ({ session, metric, source, bench }: Field) => [scopeOf(session), metric, source, bench] as const;

  const scoreOfJob = (field: Field, job: string) =>
    database.get(
      scoreRow,
      `SELECT ${COLUMNS} FROM scores WHERE ${IN_FIELD} AND standing = 'final'
         AND grp = (SELECT grp FROM experiments WHERE job = ?)`,
      ...fieldOf(field),
      job,
    ) ?? null;

  return {
    newestGoal: (session, metric) =>
      database.get(
        goalRow,
        "SELECT metric, direction, bench, at FROM goals WHERE scope = ? AND (? IS NULL OR metric = ?) ORDER BY at DESC LIMIT 1",
        scopeOf(session),
        metric,
        metric,
      ) ?? null,
    usualMetrics: (session) =>
      database.all(
        z.object({ metric: z.string(), n: z.number() }),
        `SELECT metric, COUNT(*) AS n FROM (SELECT metric FROM scores WHERE scope = ? ORDER BY at DESC LIMIT ${MOST_RECENT})
           GROUP BY metric ORDER BY n DESC, metric`,
        scopeOf(session),
      ),
    allMetrics: (session) =>
      database
        .all(
          z.object({ metric: z.string() }),
          // One step in an index for each metric: SQLite's DISTINCT would read the scores of all experiments.
          `WITH RECURSIVE names (metric) AS (SELECT MIN(metric) FROM scores WHERE scope = ? UNION ALL
             SELECT (SELECT MIN(metric) FROM scores WHERE scope = ? AND metric > names.metric) FROM names
               WHERE metric IS NOT NULL)
             SELECT metric FROM names WHERE metric IS NOT NULL`,
          scopeOf(session),
          scopeOf(session),
        )
        .map(({ metric }) => metric),
    measures: (session, metric) =>
      database.all(
        measureRow.extend({ n: z.number() }),
        // A score is as old as its job, which may have been measured long after a younger one.
        `SELECT metric, source, bench, COUNT(*) AS n FROM scores WHERE scope = ? AND metric = ? GROUP BY source, bench
           ORDER BY (SELECT results.at FROM results CROSS JOIN experiments ON experiments.job = results.job
             WHERE results.metric = ? AND results.source = scores.source AND results.bench = scores.bench
             AND (? IS NULL OR experiments.session = ?) ORDER BY results.at DESC LIMIT 1) DESC`,
        ...[scopeOf(session), metric],
        ...[metric, session, session],
      ),
    best(field, towards, limit) {
      const order = towards === "min" ? "ASC" : "DESC";
      const finite = database.all(
        scoreRow,
        `SELECT ${COLUMNS} FROM scores WHERE ${IN_FIELD} AND standing = 'final' AND finite IS NOT NULL
           ORDER BY finite ${order} LIMIT ?`,
        ...fieldOf(field),
        limit,
      );
      const left = limit - finite.length;
      const none = `SELECT ${COLUMNS} FROM scores WHERE ${IN_FIELD} AND standing = 'final' AND finite IS NULL LIMIT ?`;
      return left <= 0 ? finite : [...finite, ...database.all(scoreRow, none, ...fieldOf(field), left)];
    },
    others(field, ranked, limit) {
      const found: ScoreRow[] = [];
      for (const one of BY_STANDING) {
        const left = limit - found.length;
        if (left <= 0) break;
        const those = database.all(
          scoreRow,
          `SELECT ${COLUMNS} FROM scores AS one WHERE ${IN_FIELD} AND standing = ? AND NOT EXISTS (SELECT 1 FROM scores AS other
             WHERE other.scope = one.scope AND other.grp = one.grp AND other.metric = one.metric AND other.source = ?
             AND other.bench = ? AND other.standing = 'final') ORDER BY at DESC LIMIT ?`,
          ...fieldOf(field),
          one,
          ranked.source,
          ranked.bench,
          left,
        );
        found.push(...those);
      }
      return found;
    },
    countFinal: (field) =>
      database.get(
        countRow,
        `SELECT COUNT(*) AS n FROM scores WHERE ${IN_FIELD} AND standing = 'final'`,
        ...fieldOf(field),
      )?.n ?? 0,
    countAll: (session, metric) =>
      database.get(
        countRow,
        "SELECT COUNT(DISTINCT grp) AS n FROM scores WHERE scope = ? AND metric = ?",
        scopeOf(session),
        metric,
      )?.n ?? 0,
    scoreOfJob,
    commonParent: (field, group) =>
      database
        .all(
          jobRow,
          `SELECT parent AS job, COUNT(*) AS n FROM scores WHERE ${IN_FIELD} AND standing = 'final' AND parent IS NOT NULL
             AND (? IS NULL OR parent IN (SELECT job FROM experiments WHERE grp = ?))
             GROUP BY parent ORDER BY n DESC, MAX(at) DESC LIMIT 10`,
          ...fieldOf(field),
          ...[group, group],
        )
        .find(({ job }) => scoreOfJob(field, job) !== null)?.job ?? null,
    namedControl(field) {
      const candidates = database.all(
        candidateRow,
        // By that index, which is small: SQLite would rather read all scores of the field.
        `SELECT scores.grp AS "group", scores.n, scores.standing, json_extract(record, '$.description') AS description,
             coalesce(json_extract(record, '$.params'), '{}') AS params, json_extract(record, '$.call') AS call
           FROM scores INDEXED BY scores_of_controls CROSS JOIN experiments ON experiments.grp = scores.grp AND experiments.is_control = 1
           WHERE ${IN_FIELD} AND standing IN ('final', 'outdated', 'running', 'stopped', 'failed') AND scores.is_control = 1
           ORDER BY scores.at DESC LIMIT ${MOST_CANDIDATES}`,
        ...fieldOf(field),
      );
      // Those without a final number are looked at as members of a sweep only.
      const chosen = chooseControl(
        candidates.map(({ standing, ...one }) => (standing === "final" ? one : { ...one, n: 0 })),
      );
      const own = `SELECT ${COLUMNS} FROM scores WHERE ${IN_FIELD} AND standing = 'final' AND grp = ?`;
      return chosen === null ? null : (database.get(scoreRow, own, ...fieldOf(field), chosen) ?? null);
    },
    startedFrom: (field, parent, limit) =>
      database.all(
        scoreRow,
        `SELECT ${COLUMNS} FROM scores WHERE ${IN_FIELD} AND standing = 'final' ${parent === null ? "" : "AND parent = ?"}
           ORDER BY at DESC LIMIT ?`,
        ...fieldOf(field),
        ...(parent === null ? [] : [parent]),
        limit,
      ),
    bestJob: ({ metric, source, bench, session }, group, towards) =>
      database.get(
        jobRow,
        `SELECT results.job FROM experiments CROSS JOIN results ON results.job = experiments.job AND results.metric = ?
           AND results.source = ? AND results.bench = ? WHERE experiments.grp = ? AND results.standing = 'final'
           AND (? IS NULL OR experiments.session = ?)
           GROUP BY results.job HAVING SUM(typeof(results.value) = 'text') = 0 ORDER BY AVG(results.value) ${towards === "min" ? "ASC" : "DESC"} LIMIT 1`,
        metric,
        source,
        bench,
        group,
        session,
        session,
      )?.job ?? null,
    costOf(group, session) {
      const found = database.get(
        costRow,
        `SELECT SUM(usd) AS usd, SUM(gpu_seconds) AS gpu_seconds FROM (
           SELECT usd, gpu_seconds FROM experiments WHERE grp = ? AND (? IS NULL OR session = ?)
           UNION ALL SELECT measurements.usd, measurements.gpu_seconds FROM measurements
             JOIN experiments ON experiments.job = measurements.measured
             WHERE experiments.grp = ? AND (? IS NULL OR experiments.session = ?))`,
        ...[group, session, session],
        ...[group, session, session],
      );
      return { usd: found?.usd ?? 0, gpuSeconds: found?.gpu_seconds ?? 0 };
    },
  };
}
