import type { Job } from "../core/job.ts";
import { callOf, FEW_RUNS, groupBy, tellingOrder } from "../core/run-groups.ts";
import type { IdGenerator } from "../shared/ids.ts";
import { viewRecords } from "../views/job-view.ts";
import { ANSWER_LIMIT, MOST, type ResultLimits, renderResults } from "./job-results.ts";
import { renderRunTable } from "./run-table.ts";

/** Bytes of the tables in an answer, what other jobs' results need beside them, and the least that a table is worth. */
const TABLES_LIMIT = 20_000;
const RESULTS_ROOM = 14_000;
const TABLE_MIN = 1_500;

/**
 * What ended jobs have come to: a table for the runs of a call, and the results of all others. A few runs are told as other
 * jobs are, with the end of their output.
 */
export function renderEnds(ended: readonly Job[], ids: IdGenerator, limits: ResultLimits = {}): string {
  const { beside = [], isNamed = false } = limits;
  const few = isNamed ? MOST : FEW_RUNS;
  const large = [...groupBy(ended, callOf)].flatMap(([name, runs]) =>
    name !== null && runs.length > few ? [runs] : [],
  );
  const inTable = new Set(large.flat());
  const others = tellingOrder(ended.filter((job) => !inTable.has(job)));
  const room = ANSWER_LIMIT - Buffer.byteLength(beside.join("\n")) - (others.length > 0 ? RESULTS_ROOM : 0);
  const bytes = Math.min(TABLES_LIMIT, Math.max(TABLE_MIN, room));
  const shown = large.toReversed().slice(0, Math.max(1, Math.floor(bytes / TABLE_MIN))).toReversed(); // biome-ignore format: one line
  const tables = shown.map((runs) => renderRunTable(runs, Math.floor(bytes / shown.length)));
  const left = ended.length - others.length - shown.flat().length;
  if (left > 0) tables.push(`${left} runs of ${large.length - shown.length} earlier calls have ended too, whose numbers do not fit here: agents_status with "jobs" tells them.`); // biome-ignore format: one line
  const results = renderResults(viewRecords(others), ids, { beside: [...beside, ...tables], isNamed });
  return [results, ...tables].filter((text) => text !== "").join("\n");
}
