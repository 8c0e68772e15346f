import { rankExperiments } from "../jobs/ranking/rank-experiments.ts";
import type { Driver } from "../jobs/store/driver.ts";
import { createExperimentQueries } from "../jobs/store/experiment-queries.ts";
import { type ExperimentRow, readExperiments } from "../jobs/store/experiment-rows.ts";
import { LEDGER_VERSION, ledgerFile } from "../jobs/store/experiment-store.ts";
import { openStateFile, type StateFile } from "../jobs/store/state-file.ts";
import type { Leaderboard } from "../views/leaderboard.ts";
import type { PoolReader } from "./pool-reader.ts";

/** The experiments of projects as their files have them. */
export interface LedgerReader {
  /** Ranked anew when the file has changed. @throws PluginError `config_invalid` when the file cannot be read */
  rank(project: string, metric: string | null, limit: number | undefined): Leaderboard | null;
  /** @throws PluginError `config_invalid` when the file cannot be read */
  experiments(project: string): readonly ExperimentRow[];
  close(): void;
}

export function createLedgerReader(
  driver: Driver,
  stateDir: string,
  pool: Pick<PoolReader, "knowsSnapshot">,
): LedgerReader {
  const files = new Map<string, StateFile>();
  let last: { readonly key: string; readonly board: Leaderboard | null } | null = null;

  const fileOf = (project: string): StateFile => {
    const file = files.get(project) ?? openStateFile(driver, ledgerFile(stateDir, project), LEDGER_VERSION);
    files.set(project, file);
    return file;
  };

  return {
    rank(project, metric, limit) {
      const file = fileOf(project);
      const key = JSON.stringify([project, metric, limit, file.version()]);
      if (last?.key !== key) {
        const request = { scope: "project" as const, ...(metric !== null && { metric }), limit };
        const board = file.read((rows) => rankExperiments(createExperimentQueries(rows), pool, null, request));
        last = { key, board };
      }
      return last.board;
    },
    experiments: (project) => fileOf(project).read(readExperiments) ?? [],
    close() {
      for (const file of files.values()) file.close();
      files.clear();
    },
  };
}
