import type { Environment } from "../../../config/environment.ts";
import { judgeDevices } from "../../../core/gpu-devices.ts";
import type { Job } from "../../../core/job.ts";
import type { Limits } from "../../../core/limits.ts";
import { toWarmTags } from "../../../core/sandbox-tags.ts";
import type { StepListener } from "../../../sandboxes/creation-steps.ts";
import { toMachineSpec, toSandboxSpec } from "../../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../../sandboxes/port.ts";
import type { Clock } from "../../../shared/clock.ts";
import { PluginError } from "../../../shared/error-code.ts";
import type { ProjectTrees } from "../../project/trees.ts";
import type { PoolStore } from "../../store/pool-store.ts";
import type { WarmSandbox } from "../../store/warm-rows.ts";

export interface MakeDeps {
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly trees: Pick<ProjectTrees, "freshStart" | "forgetSnapshot">;
  readonly pool: Pick<PoolStore, "identity">;
  readonly limits: Pick<Limits, "warmMs">;
  readonly clock: Clock;
}

export interface MakeRequest {
  /** As it is recorded; its GPUs are its own by then. */
  readonly warm: WarmSandbox;
  /** Like those that it is for, with the id of the record. */
  readonly job: Job;
  readonly environment: Environment;
  readonly provider: SandboxProvider;
  /** Told how long a sandbox existed in which what it starts from was prepared. @returns what that cost, USD */
  readonly charge: (ms: number) => number;
  /** What it adds for an hour. */
  readonly usdPerHour: number;
  readonly onStep: StepListener;
  readonly signal: AbortSignal;
}

export type Made = Pick<WarmSandbox, "start" | "image" | "tree" | "since" | "until" | "madeAt"> & {
  readonly sandbox: Sandbox;
};

/** Makes a sandbox that belongs to no job yet, like a job's own in all else. @throws PluginError */
export async function makeWarm(deps: MakeDeps, request: MakeRequest): Promise<Made> {
  const { job, environment, provider, signal, warm, onStep } = request;
  const { snapshotID, image, tree } = await deps.trees.freshStart(request);
  if (signal.aborted) throw new PluginError("cancelled", "It is not wanted any more.", { retryable: false });
  const tags = toWarmTags(warm.id, deps.pool.identity());
  const spec = toSandboxSpec(environment, deps.hostEnv, { name: warm.id, tags, snapshotID });
  const lifetimeMs = deps.limits.warmMs(job);
  const { gpu, devices } = warm;
  const machine = { ...toMachineSpec(environment), gpu, ...(devices && { devices }), lifetimeMs };
  const madeAt = deps.clock.now();
  const sandbox = await provider.create({ ...spec, machine, keepsLastFiles: true }, signal, onStep).catch((error) => {
    const isGone = error instanceof PluginError && ["snapshot_expired", "not_found"].includes(error.code);
    if (isGone && snapshotID !== null) deps.trees.forgetSnapshot(snapshotID);
    throw error;
  });
  const verdict = gpu && !devices ? judgeDevices(gpu, sandbox.gpu?.devices ?? []) : null;
  if (verdict?.kind === "refused") {
    await sandbox.terminate().catch(() => {}); // its tag names nothing that is recorded: garbage collection ends it
    throw new PluginError("no_capacity", `It came with ${verdict.came}.`, { retryable: true });
  }
  return {
    sandbox,
    start: snapshotID,
    image,
    tree,
    since: sandbox.billedSince ?? deps.clock.now(),
    until: provider.name === "local" && environment.sandboxTimeoutMinutes === null ? null : madeAt + lifetimeMs,
    madeAt,
  };
}
