import { existsSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ProviderName } from "../../config/provider-names.ts";
import { createGarbageCollector } from "../../jobs/sandbox/garbage-collector.ts";
import { createSessionRegistry } from "../../jobs/session/session-registry.ts";
import { openPoolStore } from "../../jobs/store/pool-store.ts";
import { sessionFile } from "../../jobs/store/session-store.ts";
import { listSandboxes } from "../../sandboxes/local/layout.ts";
import type { ListedSandbox, SandboxProvider } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { randomId } from "../../shared/ids.ts";
import { copyDatabase } from "./state-copy.ts";

/** What `gc` would do now. */
export interface Leftovers {
  readonly ended: readonly string[];
  readonly parked: readonly string[];
  readonly failures: readonly string[];
}

/**
 * Has the garbage collector decide on a copy of the state, with a provider that does nothing. Sandboxes on Modal are those
 * that are recorded: Modal is not asked.
 * @returns null where there is no state, or it cannot be copied now
 */
export async function findLeftovers(
  stateDir: string,
  scratch: string,
  {
    clock,
    parkAfterMs,
    creationMs,
  }: { readonly clock: Clock; readonly parkAfterMs: number; readonly creationMs: number },
): Promise<Leftovers | null> {
  const copy = join(scratch, "leftovers");
  if (!(await copyDatabase(join(stateDir, "pool.db"), join(copy, "pool.db"), clock))) return null;
  const log = () => {};
  const ids = randomId;
  const pool = await openPoolStore(copy, clock);
  const real = createSessionRegistry({ stateDir, clock, ids, log });
  const copied = createSessionRegistry({ stateDir: copy, clock, ids, log });
  const ended: string[] = [];
  const parked: string[] = [];
  const provider = async (name: ProviderName) =>
    ({
      list: () => (name === "local" ? listSandboxes(join(stateDir, "local"), () => {}) : recorded(name)),
      terminate: async (id: string) => void ended.push(id),
      snapshots: null,
    }) as Partial<SandboxProvider> as SandboxProvider;
  const recorded = async (name: ProviderName): Promise<ListedSandbox[]> =>
    pool
      .sandboxes()
      .filter((row) => row.provider === name)
      .map(({ id, createdAt }) => ({ id, tags: tagsOf(id), createdAt }));
  /** As far as they say whose a sandbox is that no job names. */
  const tagsOf = (id: string): Record<string, string> => {
    const environment = pool.environmentKeys().find((key) => pool.environment(key).build?.sandboxID === id);
    return environment === undefined ? {} : { environment };
  };
  try {
    const report = await createGarbageCollector({
      pool,
      provider,
      providers: existsSync(join(stateDir, "local")) ? ["local"] : [],
      parking: {
        async parkOnce(sessionJobs, jobID) {
          const { sandbox } = sessionJobs.get(jobID) ?? {};
          if (sandbox?.kind === "live") parked.push(sandbox.id);
        },
      },
      snapshots: { remove: async () => [], removeUnneeded: async () => [] },
      images: { removeUnneeded: async () => [] },
      registry: {
        isDeleted: real.isDeleted,
        damagedAt: real.damagedAt,
        async visit(orchestrator, use, onDamaged) {
          const file = sessionFile(stateDir, orchestrator);
          await copyDatabase(file, join(copy, basename(dirname(file)), basename(file)), clock);
          return copied.visit(orchestrator, use, onDamaged);
        },
      },
      parkAfterMs,
      creationMs,
      clock,
      log,
    }).collectGarbage();
    // The collector finds that a sandbox it had parked is still live.
    const failures = report.failures.filter((failure) => !parked.some((id) => failure.includes(id)));
    return { ended, parked, failures };
  } finally {
    await copied.close();
    await real.close();
    pool.close();
  }
}
