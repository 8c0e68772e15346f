import type { Environment } from "../../../config/environment.ts";
import type { ProviderName } from "../../../config/provider-names.ts";
import type { Job } from "../../../core/job.ts";
import type { Limits } from "../../../core/limits.ts";
import { isWorn, neededMs } from "../../../core/warm.ts";
import { plainJob } from "../../../core/warm-job.ts";
import { toSandboxEnv } from "../../../sandboxes/environment.ts";
import { fileNameFor } from "../../../workspace/paths.ts";
import type { PoolStore } from "../../store/pool-store.ts";
import type { WarmSandbox } from "../../store/warm-rows.ts";

/** Which sandboxes that are kept ready are alike, and which of them a job can use. */
export interface WarmKinds {
  /** Names environment and project. */
  placeOf(environment: string): string;
  /** Names all that sandboxes of the environment have in common, as the options are here. */
  keyOf(environment: string): string;
  envOf(environment: string): Readonly<Record<string, string>>;
  isOf(warm: Pick<WarmSandbox, "key">, environment: string): boolean;
  /** Whether it is to be renewed. */
  isStale(warm: WarmSandbox, now: number): boolean;
  /** Whether it is of the job's environment, and lives long enough for it. */
  suits(warm: WarmSandbox, job: Job, now: number): boolean;
  /** Whether a job can have it that another process has made. */
  canBeFoundAgain(warm: WarmSandbox): boolean;
}

export interface WarmKindsDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly providerName: ProviderName;
  readonly directory: string | null;
  readonly pool: Pick<PoolStore, "identity">;
  readonly limits: Pick<Limits, "deadlines" | "sandboxMs">;
}

export function createWarmKinds(deps: WarmKindsDeps): WarmKinds {
  const { environments, hostEnv, providerName, limits } = deps;
  const keys = new Map<string, string>();
  const placeOf = (name: string) => JSON.stringify([deps.pool.identity(), providerName, deps.directory, name]);
  const envOf = (name: string) => {
    const environment = environments[name];
    return environment ? toSandboxEnv(environment, hostEnv) : {};
  };

  function keyOf(name: string): string {
    const known = keys.get(name);
    if (known !== undefined) return known;
    const { warm: _, ...own } = environments[name] ?? { warm: 0 };
    // Of the variables only this is recorded, as they may be secrets.
    const key = fileNameFor(JSON.stringify([placeOf(name), own, envOf(name)]));
    keys.set(name, key);
    return key;
  }

  function isWornFor(warm: WarmSandbox, job: Job, environment: Environment, now: number): boolean {
    const { jobMs, rescueMs } = limits.deadlines(job);
    const idleMs = providerName === "local" ? null : environment.idleTimeoutMinutes * 60_000;
    return isWorn(warm, { neededMs: neededMs(jobMs + rescueMs, limits.sandboxMs(job)), idleMs }, now);
  }

  const isOf: WarmKinds["isOf"] = ({ key }, name) => key === keyOf(name);

  return {
    placeOf: (name) => fileNameFor(placeOf(name)),
    keyOf,
    envOf,
    isOf,
    isStale(warm, now) {
      const environment = environments[warm.environment];
      if (!environment || !isOf(warm, warm.environment)) return true;
      const { id, orchestrator, provider } = warm;
      const job = plainJob(warm.environment, environment, { id, orchestrator, provider, now });
      return isWornFor(warm, job, environment, now);
    },
    suits(warm, job, now) {
      const environment = environments[job.task.environment];
      if (!environment || !isOf(warm, job.task.environment)) return false;
      return warm.state === "making" || !isWornFor(warm, job, environment, now);
    },
    // A provider tells neither GPUs nor ports of one that is found again; and a local one lives in its own process.
    canBeFoundAgain: ({ state, provider, gpu, environment }) =>
      state === "ready" && provider === "modal" && gpu === null && environments[environment]?.ports.length === 0,
  };
}
