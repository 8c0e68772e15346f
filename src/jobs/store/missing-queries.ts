import { z } from "zod";
import type { Standing } from "../../core/experiments/experiment.ts";
import { addMissing, isComplete, type Member, type Missing, missingOf } from "../../core/experiments/missing.ts";
import type { Database } from "./database.ts";
import { jobState, standing } from "./experiment-record.ts";
import type { Field } from "./score-queries.ts";

/** What is asked of those members of experiments that have no value. */
export interface MissingQueries {
  /**
   * What is missing of each of these experiments; those that are complete are left out.
   * @param groups with the standing of the values that count
   */
  missing(field: Field, groups: ReadonlyMap<string, Standing>): ReadonlyMap<string, Missing>;
}

const flag = z.number().transform((value) => value !== 0);
const groupRow = z.object({ grp: z.string() });
const memberRow = z
  .object({
    grp: z.string(),
    seed: z.string().nullable(),
    call: z.string().nullable(),
    standing,
    state: jobState,
    counted: flag,
  })
  .transform(({ grp, counted, ...row }): Member & { group: string } => ({ ...row, isCounted: counted, group: grp }));

// In this order, which SQLite keeps: by an index of results it would read what all experiments have in the measure.
const MEMBERS = `FROM json_each(?) AS listed CROSS JOIN experiments ON experiments.grp = listed.key
    AND (? IS NULL OR experiments.session = ?)`;
const COUNTED = `results WHERE results.job = experiments.job AND results.metric = ? AND results.source = ?
    AND results.bench = ? AND results.standing = listed.value`;
const REPEAT = "json_extract(measurements.record, '$.seed')";

export const createMissingQueries = (database: Database): MissingQueries => ({
  missing({ session, metric, source, bench }, groups) {
    const measure = [metric, source, bench] as const;
    const scope = [session, session] as const;
    const asked = (names: Iterable<string>) =>
      JSON.stringify(Object.fromEntries([...names].map((name) => [name, groups.get(name)])));
    // Most experiments are complete: of these no record is read.
    const where = (condition: string): string[] =>
      database
        .all(
          groupRow,
          `SELECT DISTINCT experiments.grp ${MEMBERS} WHERE ${condition}`,
          ...[asked(groups.keys()), ...scope, ...measure],
        )
        .map(({ grp }) => grp);

    const members = membersOf(where(`NOT EXISTS (SELECT 1 FROM ${COUNTED})`));
    const repeats =
      bench === ""
        ? []
        : repeatsOf(
            where(
              `(SELECT COUNT(*) FROM measurements WHERE measured = experiments.job) > (SELECT COUNT(*) FROM ${COUNTED})`,
            ),
          );
    const missing = new Map<string, Missing>();
    for (const [rows, isMeasured] of [
      [members, bench !== ""],
      [repeats, false],
    ] as const)
      for (const [group, own] of byGroup(rows)) {
        const found = addMissing(missingOf(own, isMeasured), missing.get(group));
        if (!isComplete(found)) missing.set(group, found);
      }
    return missing;

    function membersOf(names: readonly string[]) {
      if (names.length === 0) return [];
      return database.all(
        memberRow,
        `SELECT experiments.grp, experiments.seed, json_extract(record, '$.call') AS call,
           json_extract(record, '$.standing') AS standing, json_extract(record, '$.state') AS state,
           EXISTS (SELECT 1 FROM ${COUNTED}) AS counted ${MEMBERS} ORDER BY experiments.created_at DESC`,
        ...[...measure, asked(names), ...scope],
      );
    }

    /** Repeats of this benchmark that measured the files which the jobs have now: of jobs with the same seed the same ones. */
    function repeatsOf(names: readonly string[]) {
      if (names.length === 0) return [];
      return database.all(
        memberRow,
        `SELECT experiments.grp, coalesce(experiments.seed, experiments.job) || ' ' || ${REPEAT} AS seed, NULL AS call,
           CASE json_extract(measurements.record, '$.state') WHEN 'completed' THEN 'final' WHEN 'failed' THEN 'failed'
             WHEN 'cancelled' THEN 'failed' ELSE 'running' END AS standing,
           json_extract(measurements.record, '$.state') AS state,
           EXISTS (SELECT 1 FROM ${COUNTED} AND results.seed = ${REPEAT}) AS counted
           ${MEMBERS} CROSS JOIN measurements ON measurements.measured = experiments.job
           WHERE json_extract(measurements.record, '$.bench') = ? AND json_extract(measurements.record, '$.source') = ?
             AND json_extract(measurements.record, '$.state') IS NOT NULL
             AND coalesce(json_extract(measurements.record, '$.turns') >= json_extract(experiments.record, '$.turns'), 1)
           ORDER BY json_extract(measurements.record, '$.at') DESC`,
        ...[...measure, asked(names), ...scope, bench, source],
      );
    }
  },
});

function byGroup<T extends { readonly group: string }>(rows: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const row of rows) {
    const own = groups.get(row.group);
    if (own) own.push(row);
    else groups.set(row.group, [row]);
  }
  return groups;
}
