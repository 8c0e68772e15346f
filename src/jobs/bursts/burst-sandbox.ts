import type { Environment } from "../../config/environment.ts";
import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import { holdMs } from "../../core/gpu-wait.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { toBurstTags } from "../../core/sandbox-tags.ts";
import { environmentOf } from "../../core/task-source.ts";
import type { StepListener } from "../../sandboxes/creation-steps.ts";
import { toMachineSpec, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider, SandboxSpec } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import { requireGranted } from "../sandbox/granted-gpu.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { GpuPlace } from "./gpu-places.ts";

export interface BurstSandboxDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly limits: Pick<Limits, "sandboxMs" | "gpuWait" | "rates">;
  readonly pool: Pick<PoolStore, "identity">;
  readonly lingerMs: number;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
}

export interface BurstCreation {
  readonly place: GpuPlace;
  /** Id at the provider of the copy of the job's files. */
  readonly snapshotID: string;
  /** Since when the command waits, epoch ms, and for how many kinds of GPU: each has its share of the time. */
  readonly since: number;
  readonly kinds: number;
  readonly signal: AbortSignal;
  readonly onStep: StepListener;
  /** Charges the job for a sandbox that it did not get. */
  readonly charge: (sandbox: Sandbox, gpu: GpuRequest | null) => void;
}

/** Time beyond its wait for the next command after which the provider ends a sandbox in which nothing runs. */
const IDLE_SLACK_MS = 2 * 60_000;

/**
 * Makes a sandbox with GPUs from a copy of the job's files, in the job's environment. Nobody reaches it from outside.
 * @throws PluginError as `SandboxProvider.create` does
 */
export async function createBurstSandbox(
  deps: BurstSandboxDeps,
  provider: SandboxProvider,
  job: Job,
  { place, snapshotID, since, kinds, signal, onStep, charge }: BurstCreation,
): Promise<Sandbox> {
  const { pool, limits, clock } = deps;
  const environment = environmentOf(deps.environments, job.task);
  if (!environment)
    throw new PluginError("invalid_task", `The environment "${job.task.environment}" is no longer configured.`);
  const { gpu, devices } = place;
  const name = `${job.id}-gpu-${deps.ids("burst").slice(-6)}`;
  const tags = toBurstTags(job, pool.identity(), limits.rates(job, gpu).most);
  const bare = toSandboxSpec(environment, deps.hostEnv, { name, tags, snapshotID });
  const machine = toMachineSpec(environment);
  const spec: SandboxSpec = {
    ...bare,
    keepsLastFiles: true,
    machine: {
      ...machine,
      gpu,
      ...(devices ? { devices } : { gpuWaitMs: holdMs(since, kinds, limits.gpuWait, clock.now()) }),
      ports: [],
      lifetimeMs: limits.sandboxMs(job),
      idleTimeoutMs: Math.min(machine.idleTimeoutMs ?? Number.POSITIVE_INFINITY, deps.lingerMs + IDLE_SLACK_MS),
    },
  };
  const sandbox = await provider.create(spec, signal, onStep);
  if (!devices) await requireGranted({ charge, log: deps.log }, job, gpu, sandbox);
  deps.log("info", "a sandbox with a GPU was made for a command", {
    jobID: job.id,
    gpu: formatGpu(gpu),
    sandboxID: sandbox.id,
  });
  return sandbox;
}
