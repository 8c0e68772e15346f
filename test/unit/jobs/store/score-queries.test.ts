import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Database } from "../../../../src/jobs/store/database.ts";
import type { SqlValue } from "../../../../src/jobs/store/driver.ts";
import { openExperimentStore } from "../../../../src/jobs/store/experiment-store.ts";
import { createMissingQueries } from "../../../../src/jobs/store/missing-queries.ts";
import { createScoreStore } from "../../../../src/jobs/store/score-store.ts";

/* What is asked of ten thousand experiments must not read them all where an index can answer. */

test("every question of the scores is answered by an index", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "plans-"));
  const file = join(stateDir, "projects", "p.db");
  (await openExperimentStore(file)).close();
  const { Database: Opened } = await import("bun:sqlite");
  const real = new Opened(file);
  const plans: string[] = [];
  const explain = (sql: string, values: SqlValue[]) => {
    const steps = real.query(`EXPLAIN QUERY PLAN ${sql}`).all(...values) as { detail: string }[];
    plans.push(...steps.map(({ detail }) => `${detail} in ${sql}`));
  };
  const database = {
    run: (sql: string, ...values: SqlValue[]) => explain(sql, values),
    get: (_row: unknown, sql: string, ...values: SqlValue[]) => void explain(sql, values),
    all(_row: unknown, sql: string, ...values: SqlValue[]) {
      explain(sql, values);
      return sql.startsWith("SELECT DISTINCT experiments.grp") ? [{ grp: "group" }] : [];
    },
  } as unknown as Database;
  const queries = createScoreStore(database);
  const field = { session: null, metric: "loss", source: "output", bench: "" } as const;
  queries.usualMetrics(null);
  queries.allMetrics(null);
  queries.measures(null, "loss");
  queries.newestGoal(null, null);
  queries.best(field, "min", 20);
  queries.others(field, { ...field, source: "clean" }, 20);
  queries.countFinal(field);
  queries.countAll(null, "loss");
  queries.scoreOfJob(field, "job_1");
  queries.commonParent(field, null);
  queries.namedControl(field);
  queries.startedFrom(field, "job_1", 500);
  queries.startedFrom(field, null, 500);
  queries.bestJob(field, "group", "max");
  queries.costOf("group", null);
  queries.score("ses_1", "group", [field]);
  createMissingQueries(database).missing({ ...field, bench: "bench" }, new Map([["group", "final"]]));
  real.close();
  rmSync(stateDir, { recursive: true, force: true });
  expect(plans.length).toBeGreaterThan(14);
  // `names` are the metrics found so far, `listed` the experiments that are asked for.
  expect(plans.filter((plan) => /^SCAN (?!\(|SUBQUERY|names |listed )/.test(plan))).toEqual([]);
  expect(plans.filter((plan) => plan.includes("(scope=? AND metric>?) in WITH RECURSIVE names"))).toHaveLength(1);
  // It has a value of each experiment: only what looks for the newest reads it.
  const byTime = plans.filter((plan) => plan.includes("INDEX results_by_time"));
  expect(byTime.filter((plan) => !plan.includes("ORDER BY results.at DESC LIMIT 1"))).toEqual([]);
  expect(byTime).not.toEqual([]);
  // The best are read in the order of an index, not sorted.
  expect(plans.filter((plan) => plan.startsWith("USE TEMP B-TREE") && plan.includes("ORDER BY finite"))).toEqual([]);
});
