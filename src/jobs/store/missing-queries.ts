import { z } from "zod";
import type { Standing } from "../../core/experiments/experiment.ts";
import { isComplete, type Member, type Missing, missingOf } from "../../core/experiments/missing.ts";
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
const isCounted = (seed = "") =>
  `EXISTS (SELECT 1 FROM results WHERE results.job = experiments.job AND results.metric = ? AND results.source = ?
     AND results.bench = ? ${seed} AND results.standing = listed.value)`;

export const createMissingQueries = (database: Database): MissingQueries => ({
  missing({ session, metric, source, bench }, groups) {
    const asked = (names: Iterable<string>) =>
      JSON.stringify(Object.fromEntries([...names].map((name) => [name, groups.get(name)])));
    const measure = [metric, source, bench] as const;
    const scope = [session, session] as const;
    // Most experiments are complete: of these no record is read.
    const incomplete = database
      .all(
        groupRow,
        `SELECT DISTINCT experiments.grp ${MEMBERS} WHERE NOT ${isCounted()}`,
        ...[asked(groups.keys()), ...scope, ...measure],
      )
      .map(({ grp }) => grp);
    const members =
      incomplete.length === 0
        ? []
        : database.all(
            memberRow,
            `SELECT experiments.grp, experiments.seed, json_extract(record, '$.call') AS call,
               json_extract(record, '$.standing') AS standing, json_extract(record, '$.state') AS state,
               ${isCounted()} AS counted ${MEMBERS} ORDER BY experiments.created_at DESC`,
            ...[...measure, asked(incomplete), ...scope],
          );
    const missing = new Map<string, Missing>();
    for (const [group, own] of byGroup(members)) {
      const found = missingOf(own, bench !== "");
      if (!isComplete(found)) missing.set(group, found);
    }
    return missing;
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
