import type { ProviderName } from "../../../config/provider-names.ts";
import { usdOver } from "../../../core/cost.ts";
import type { ListedSandbox, SandboxProvider } from "../../../sandboxes/port.ts";
import type { Clock } from "../../../shared/clock.ts";
import type { Log } from "../../../shared/log.ts";
import type { PoolStore } from "../../store/pool-store.ts";

export interface CollectWarmDeps {
  readonly pool: Pick<PoolStore, "warmSandboxes" | "deleteWarm" | "addWarmCost" | "sandboxes">;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Whether a live process is giving the sandbox to a job, which does not name it yet, or prepares in it what one that is to
 * be kept ready starts from.
 * @param jobID as its tags say
 */
export const isForWarm = (
  pool: CollectWarmDeps["pool"],
  { id, jobID }: { readonly id: string; readonly jobID: string },
  now: number,
): boolean => pool.warmSandboxes(now).some((warm) => !warm.isAbandoned && (warm.sandboxID === id || warm.id === jobID));

/** Adds what a sandbox has cost in which a dead process prepared what one that was to be kept ready starts from. */
export function addToWarm(pool: CollectWarmDeps["pool"], warmID: string, usd: number, now: number): void {
  const warm = pool.warmSandboxes(now).find(({ id }) => id === warmID);
  if (warm) pool.addWarmCost(warm.orchestrator, warm.environment, usd);
}

/**
 * Ends a sandbox that was kept ready by a process that is dead, or of which nothing is recorded any more.
 * @param listed before the records are read here, so that whoever keeps it ready or has taken it has recorded that
 */
export async function collectWarm(
  { pool, clock, log }: CollectWarmDeps,
  provider: SandboxProvider,
  { id, tags, billedSince }: ListedSandbox,
): Promise<boolean> {
  const now = clock.now();
  const warm = pool.warmSandboxes(now).find((each) => each.id === tags.warm);
  if (warm && !warm.isAbandoned) return false;
  if (pool.sandboxes().some((row) => row.id === id)) return false; // a job has it
  if (!warm) {
    // Where records were lost, only its tags tell that a job has got it meanwhile.
    const again = (await provider.list()).find((each) => each.id === id);
    if (again?.tags.warm !== tags.warm) return false;
  }
  await provider.terminate(id);
  // Its process died before it recorded it.
  const isUncounted = warm !== undefined && warm.since === null && billedSince != null;
  if (isUncounted)
    pool.addWarmCost(warm.orchestrator, warm.environment, usdOver(warm.usdPerHour, clock.now() - billedSince));
  if (warm) pool.deleteWarm(warm.id, clock.now());
  log("info", "a sandbox that nobody keeps ready any more was ended", { sandboxID: id });
  return true;
}

/** Settles what dead processes kept ready, or began to, and that does not exist any more. */
export function forgetAbandonedWarm(
  { pool, clock }: CollectWarmDeps,
  provider: ProviderName,
  left: readonly ListedSandbox[],
): void {
  const isRecorded = new Set(pool.sandboxes().map(({ id }) => id));
  const isLeft = new Set(left.filter(({ id }) => !isRecorded.has(id)).map(({ tags }) => tags.warm));
  for (const warm of pool.warmSandboxes(clock.now()))
    if (warm.isAbandoned && warm.provider === provider && !isLeft.has(warm.id)) pool.deleteWarm(warm.id, clock.now());
}
