import { z } from "zod";
import type { Experiment } from "../../core/experiments/experiment.ts";
import type { Database } from "./database.ts";
import { experimentRecord } from "./experiment-record.ts";
import { createMissingQueries, type MissingQueries } from "./missing-queries.ts";
import { json, remembered } from "./rows.ts";
import { createScoreQueries, type ScoreQueries } from "./score-queries.ts";

/** What is asked of a project's experiments to rank them. */
export interface ExperimentQueries extends ScoreQueries, MissingQueries {
  experiment(job: string): Experiment | null;
  /** How many experiments there are. @param session null = of all sessions */
  count(session: string | null): number;
}

const experimentRow = z.object({ id: z.string(), record: json(experimentRecord) });
const countRow = z.object({ n: z.number() });

export function createExperimentQueries(database: Database): ExperimentQueries {
  // Each change of an experiment is compared with what is kept of it.
  const known = remembered(experimentRow);
  return {
    ...createScoreQueries(database),
    ...createMissingQueries(database),
    experiment: (job) =>
      database.get(known, "SELECT job AS id, record FROM experiments WHERE job = ?", job)?.record ?? null,
    count: (session) =>
      (session === null
        ? database.get(countRow, "SELECT COUNT(*) AS n FROM experiments")
        : database.get(countRow, "SELECT COUNT(*) AS n FROM experiments WHERE session = ?", session)
      )?.n ?? 0,
  };
}
