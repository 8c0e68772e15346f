import type { Job } from "../core/job.ts";
import type { SeriesRecord } from "../core/series.ts";
import type { ExperimentRow } from "../jobs/store/experiment-rows.ts";
import type { LabAnswer, LabRequest, LabView } from "../views/lab-view.ts";
import type { Leaderboard } from "../views/leaderboard.ts";

/** A session that had jobs, as lists of sessions show it. */
export interface LabSession {
  readonly id: string;
  /** Id of its project; null = not known. */
  readonly project: string | null;
  /** Epoch ms. */
  readonly changedAt: number;
}

/**
 * The state directory as views read it: the terminal UI, the dashboard and the report. It is read only; what is asked for
 * is done by the process that has the session in use.
 */
export interface Lab {
  /** Of a project, or all of them: the newest first. */
  sessions(project: string | null): readonly LabSession[];
  /** @returns null where there is no such session, or it has no jobs */
  view(session: string): LabView | null;
  /** The values of a job's metrics over their steps. */
  series(session: string, jobID: string): ReadonlyMap<string, SeriesRecord>;
  /**
   * The experiments of a session's project in a metric, 20 unless `limit` says otherwise.
   * @param metric null = the one that was measured last
   * @returns null where the session has no project, or nothing is kept of it @throws PluginError `config_invalid` when the
   * record cannot be read, or which project it is
   */
  leaderboard(session: string, metric: string | null, limit?: number): Leaderboard | null;
  /**
   * Calls `listener` soon after anything changed that `view` shows, at most every `everyMs`. While a session is watched, the
   * process that has it in use writes down what its jobs do. @returns the function that ends this
   */
  watch(session: string, everyMs: number, listener: () => void): () => void;
  /** Asks the process that has the session in use. Never rejects: `refused` where there is none, or it does not answer. */
  ask(session: string, request: LabRequest): Promise<LabAnswer>;
  close(): void;
}

/** What is read once and whole: by the report, and by what is sent elsewhere. */
export interface LabArchive extends Lab {
  /** A session's jobs as they are recorded, with their tasks; empty where there is no such session. */
  records(session: string): readonly Job[];
  /**
   * All experiments of a session's project, of every session, the oldest first; empty where it has no project.
   * @throws PluginError `config_invalid` when the record cannot be read, or which project it is
   */
  experiments(session: string): readonly ExperimentRow[];
}
