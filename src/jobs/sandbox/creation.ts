import type { Environment } from "../../config/environment.ts";
import { formatGpu, gpusOf } from "../../config/gpu.ts";
import { environmentNotes } from "../../core/environment-notes.ts";
import { holdMs, isWaitOver, waitedSince } from "../../core/gpu-wait.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { proxyNotes } from "../../core/proxy-notes.ts";
import { toCostTags, toTags } from "../../core/sandbox-tags.ts";
import { environmentOf } from "../../core/task-source.ts";
import { missingVariableNotes } from "../../core/variable-notes.ts";
import { AccountLimitError } from "../../sandboxes/account-limit.ts";
import type { StepListener } from "../../sandboxes/creation-steps.ts";
import { toMachineSpec, toSandboxEnv, toSandboxSpec } from "../../sandboxes/environment.ts";
import type { ListedSandbox, MachineSpec, Sandbox, SandboxProvider, SandboxSpec } from "../../sandboxes/port.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { fileNameFor } from "../../workspace/paths.ts";
import type { Leases } from "../queue/leases.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { BackToQueue } from "./back-to-queue.ts";
import { certificateNotes } from "./find-certificates.ts";
import { type GrantedGpuDeps, gpuNotes, requireGranted } from "./granted-gpu.ts";
import { installSkills, type SkillInstallerDeps } from "./install-skills.ts";

export interface CreationDeps extends SkillInstallerDeps, GrantedGpuDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly log: Log;
  readonly pool: Pick<PoolStore, "identity">;
  readonly limits: Limits;
  readonly leases: Pick<Leases, "claimGpu" | "machineGpusOf">;
  /** Charges the job for a sandbox that was made for it, that it did not get, and that has been ended now. Never throws. */
  readonly chargeLeft: (left: ListedSandbox) => void;
  /** Told what the creation waits for. */
  readonly onStep?: StepListener | undefined;
}

export interface MadeSandbox {
  readonly sandbox: Sandbox;
  /** What a user or model should know of the machine and of the skills in it, one sentence each. */
  readonly notes: readonly string[];
  /** Id at the provider of the snapshot it was made from; null = none, or another process made it. */
  readonly from: string | null;
  /** Of one that was made before there was the job. */
  readonly warm?: WarmOrigin;
}

export interface WarmOrigin {
  /** Since when it is the job's, which pays for it from then on, epoch ms. */
  readonly takenAt: number;
  /** When its provider ends it, epoch ms; null = never. */
  readonly until: number | null;
}

/** What a sandbox starts from. */
export interface SandboxSource {
  /** Id of the snapshot at the provider; null = the bare environment. */
  readonly snapshotID: string | null;
  /** Called with the sandbox before anything is put or run in it. Never rejects. */
  readonly onMade?: (sandbox: Sandbox) => Promise<void>;
}

const RETRY_DELAYS_MS = [1_000, 4_000];

/**
 * Creates a sandbox for a job and installs its skills, trying again where that may help.
 * @throws PluginError
 */
export async function createSandbox(
  deps: CreationDeps,
  provider: SandboxProvider,
  job: Job,
  { snapshotID, onMade }: SandboxSource,
  signal: AbortSignal,
): Promise<MadeSandbox> {
  const sandbox = await create(deps, provider, job, snapshotID, signal);
  await onMade?.(sandbox);
  try {
    return { sandbox, notes: await furnish(deps, job, sandbox), from: snapshotID };
  } catch (cause) {
    await sandbox.terminate();
    deps.charge(sandbox, sandbox.gpu?.granted ?? null);
    const reason = cause instanceof Error ? cause.message : String(cause);
    const message = `Could not put the skills of ${job.id} into its sandbox: ${reason}`;
    throw new PluginError("sandbox_create_failed", message, { cause });
  }
}

/** Puts the job's skills into its sandbox. @returns what a user or model should know of both, one sentence each @throws Error */
export async function furnish(deps: FurnishDeps, job: Job, sandbox: Sandbox): Promise<readonly string[]> {
  const notes = [...sandbox.notes, ...gpuNotes(sandbox.gpu), ...environmentNotesOf(deps, job)];
  const environment = deps.environments[job.task.environment];
  const env = environment ? toSandboxEnv(environment, deps.hostEnv) : {};
  notes.push(...(await certificateNotes(job, sandbox, env, deps.clock)));
  return [...notes, ...(await installSkills(deps, job, sandbox))];
}

export type FurnishDeps = SkillInstallerDeps & Pick<CreationDeps, "environments" | "hostEnv" | "clock">;

/** What its environment means for a job, which is known before its sandbox is there. */
export function environmentNotesOf(
  { environments, hostEnv }: Pick<CreationDeps, "environments" | "hostEnv">,
  { task }: Job,
): string[] {
  const environment = environments[task.environment];
  if (!environment) return [];
  return [
    ...environmentNotes(environment),
    ...missingVariableNotes(hostEnv, environment),
    ...proxyNotes(hostEnv, toSandboxEnv(environment, hostEnv), environment),
  ];
}

async function create(
  deps: CreationDeps,
  provider: SandboxProvider,
  job: Job,
  snapshotID: string | null,
  signal: AbortSignal,
): Promise<Sandbox> {
  const environment = environmentOf(deps.environments, job.task);
  if (!environment) {
    throw new PluginError("invalid_task", `The environment "${job.task.environment}" is no longer configured.`);
  }
  const tags = toTags(job, deps.pool.identity());
  const bare = toSandboxSpec(environment, deps.hostEnv, { name: nameFor(job, snapshotID), tags, snapshotID });
  const machine = { ...toMachineSpec(environment), lifetimeMs: deps.limits.sandboxMs(job) };
  const moreTags = toCostTags(deps.limits.rates(job, null).most);
  const onLeftEnded = deps.chargeLeft;
  const spec = { ...bare, moreTags, onLeftEnded, machine, keepsLastFiles: true, commandFollows: job.task.run !== null };
  const waitSince = waitedSince(job.gpuWait, false, deps.clock.now());
  for (let attempt = 0; ; attempt++) {
    try {
      return await createWithGpu(deps, provider, job, spec, { signal, waitSince });
    } catch (error) {
      if (error instanceof NoGpuFree) throw error.toEnd(deps, job, waitSince);
      const failure = toFailure(error, "sandbox_create_failed", `create a sandbox for ${job.id}`);
      const delayMs = RETRY_DELAYS_MS[attempt];
      if (failure.retryable !== true || delayMs === undefined || signal.aborted) {
        throw error instanceof PluginError ? error : new PluginError(failure.code, failure.message, { cause: error });
      }
      deps.log("warn", "creating a sandbox failed, trying again", { jobID: job.id, attempt, reason: failure.message });
      await sleep(deps.clock, delayMs, signal);
      if (signal.aborted) throw new PluginError("cancelled", `${job.id} was stopped before it had a sandbox.`);
    }
  }
}

/** A revived sandbox has another name than the one before it, which may hold its own until it has ended. */
const nameFor = ({ id, sandbox }: Job, snapshotID: string | null): string =>
  sandbox.kind === "none" || sandbox.kind === "creating" ? id : `${id}-${fileNameFor(snapshotID ?? "").slice(0, 8)}`;

/**
 * Tries the task's GPU preferences in order: the first that fits the quota and that the provider has is granted, and the
 * job's lease is changed to it. Each is waited for its share of the time. The only place where GPUs are chosen, other than this machine's.
 * @throws NoGpuFree, and what creating a sandbox throws
 */
async function createWithGpu(
  deps: CreationDeps,
  provider: SandboxProvider,
  job: Job,
  spec: SandboxSpec & { readonly machine: MachineSpec },
  { signal, waitSince }: { readonly signal: AbortSignal; readonly waitSince: number },
): Promise<Sandbox> {
  if (job.provider === "local" && job.task.gpu !== null) return createOnMachine(deps, provider, job, spec, signal);
  // The environment's GPUs went into the task when it was accepted.
  const preferences = gpusOf(job.task.gpu);
  if (preferences.length === 0) return provider.create(spec, signal, deps.onStep);
  const refusals: string[] = [];
  let only: PluginError | null = null;
  let isWorthRetrying = false;
  for (const gpu of preferences) {
    if (!deps.leases.claimGpu(job, gpu)) {
      isWorthRetrying = true;
      refusals.push(`gpuLimits has no room for ${formatGpu(gpu)} beside the GPUs in use.`);
      continue;
    }
    try {
      const gpuWaitMs = holdMs(waitSince, preferences.length, deps.limits.gpuWait, deps.clock.now());
      const machine = { ...spec.machine, gpu, gpuWaitMs };
      const moreTags = toCostTags(deps.limits.rates(job, gpu).most);
      const sandbox = await provider.create({ ...spec, moreTags, machine }, signal, deps.onStep);
      await requireGranted(deps, job, gpu, sandbox);
      return sandbox;
    } catch (error) {
      if (!(error instanceof PluginError) || error.code !== "no_capacity" || signal.aborted) throw error;
      if (error instanceof AccountLimitError) throw error;
      refusals.push(error.message);
      only = error;
      isWorthRetrying ||= error.retryable !== false;
      deps.log("info", "a GPU has no capacity", { jobID: job.id, gpu: formatGpu(gpu), reason: error.message });
    }
  }
  const names = preferences.map(formatGpu).join(", ");
  const message = `None of ${names} is available: ${refusals.join(" ")}`;
  throw new NoGpuFree(refusals.length === 1 && only ? only.message : message, { cause: only, isWorthRetrying });
}

/** Gives it the GPUs of this machine that its lease has: they were chosen when it was admitted. */
function createOnMachine(
  { leases, onStep }: CreationDeps,
  provider: SandboxProvider,
  { id, task }: Job,
  spec: SandboxSpec & { readonly machine: MachineSpec },
  signal: AbortSignal,
): Promise<Sandbox> {
  const held = leases.machineGpusOf(id);
  if (!held)
    throw new PluginError("no_capacity", `${id} was given no ${task.gpu} of this machine.`, { retryable: false });
  return provider.create({ ...spec, machine: { ...spec.machine, ...held } }, signal, onStep);
}

/** Every GPU that the job would take was refused. */
class NoGpuFree extends Error {
  readonly #isWorthRetrying: boolean;

  constructor(message: string, { cause, isWorthRetrying }: { cause: unknown; isWorthRetrying: boolean }) {
    super(message, { cause });
    this.#isWorthRetrying = isWorthRetrying;
  }

  /** The job's end, or its way back to the queue while it may still wait. */
  toEnd({ clock, limits, log }: CreationDeps, job: Job, since: number): PluginError {
    const { message, cause } = this;
    const now = clock.now();
    if (!this.#isWorthRetrying || isWaitOver(since, limits.gpuWait, now))
      return new PluginError("no_capacity", message, { cause, retryable: this.#isWorthRetrying });
    log("info", "no GPU is free, going back to the queue", { jobID: job.id, reason: message });
    const wait = { since, retryAt: now + limits.gpuWait.pauseMs, isUnreachable: false };
    return new BackToQueue("no_capacity", message, wait, cause);
  }
}
