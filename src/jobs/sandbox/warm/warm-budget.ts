import type { ProviderName } from "../../../config/provider-names.ts";
import { type Accounts, decideBudgetAdmission } from "../../../core/budget.ts";
import type { Job } from "../../../core/job.ts";
import type { Limits } from "../../../core/limits.ts";
import { plainJob } from "../../../core/warm-job.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { SessionRegistry } from "../../session/session-registry.ts";
import type { PoolStore } from "../../store/pool-store.ts";

export interface WarmBudgetDeps {
  readonly pool: Pick<PoolStore, "warmCost">;
  readonly registry: Pick<SessionRegistry, "inUse" | "isDeleted" | "visit">;
  readonly limits: Pick<Limits, "budget">;
  readonly providerName: ProviderName;
  readonly clock: Clock;
}

type Books = { readonly jobs: readonly Job[]; readonly accounts: Accounts };

/** Whether a session has money for sandboxes of this price that no job needs yet: as for a job, beside the reserves of all others. */
export async function isAffordable(deps: WarmBudgetDeps, orchestrator: string, usdPerHour: number): Promise<boolean> {
  const { limits, providerName: provider, clock } = deps;
  if (limits.budget.ceilingUsd === null || usdPerHour === 0) return true;
  const { jobs, accounts } = await booksOf(deps, orchestrator);
  const now = clock.now();
  const job = plainJob("", { gpu: null }, { id: "", orchestrator, provider, now });
  return decideBudgetAdmission(job, usdPerHour, jobs, limits.budget, now, accounts).kind === "admit";
}

/** A session may have started no jobs yet. */
async function booksOf({ pool, registry, clock }: WarmBudgetDeps, orchestrator: string): Promise<Books> {
  const inUse = await registry.inUse(orchestrator);
  if (inUse) return { jobs: inUse.all(), accounts: inUse.accounts() };
  const { usd } = pool.warmCost(orchestrator, clock.now());
  const none = { jobs: [], accounts: { open: [], settled: { usd, modelUsd: 0, computeUsd: usd } } };
  if (registry.isDeleted(orchestrator)) return none;
  const read = registry.visit(
    orchestrator,
    async (found) => found && { jobs: found.all(), accounts: found.accounts() },
    () => {},
  );
  return (await read) ?? none;
}
