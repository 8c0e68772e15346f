import type { Options } from "../../config/schema.ts";
import type { Leaderboard } from "../../views/leaderboard.ts";
import type { Ledger } from "../project/ledger.ts";
import { type ListRequest, NO_EXPERIMENTS, rankExperiments } from "../ranking/rank-experiments.ts";
import type { SessionOpener } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";

export interface ListExperimentsDeps extends SessionOpener {
  readonly options: Pick<Options, "ledger">;
  readonly ledger: Pick<Ledger, "open">;
  readonly pool: Pick<PoolStore, "knowsSnapshot">;
}

/** The experiments that a session may see. @throws PluginError `config_invalid` when the ledger cannot be read */
export async function listExperiments(
  deps: ListExperimentsDeps,
  sessionID: string,
  request: ListRequest,
): Promise<Leaderboard> {
  const { orchestrator } = await deps.sessionJobs(sessionID);
  const isNarrow = deps.options.ledger.scope === "session" || request.scope === "session";
  const scope = isNarrow ? "session" : "project";
  const store = await deps.ledger.open(orchestrator);
  if (!store) return { ...NO_EXPERIMENTS, scope };
  return rankExperiments(store, deps.pool, isNarrow ? orchestrator : null, { ...request, scope });
}
