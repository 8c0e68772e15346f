import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import { burstHolder } from "../../core/burst.ts";
import { type Burst, NEW_BURST } from "../../core/burst-state.ts";
import { openBurst } from "../../core/cost.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { AccountLimitError } from "../../sandboxes/account-limit.ts";
import type { CreationStep } from "../../sandboxes/creation-steps.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { FileTree } from "../../workspace/exchange/file-trees.ts";
import { listTree } from "../../workspace/exchange/list-tree.ts";
import { isSameOutside, markOutside } from "../../workspace/exchange/outside.ts";
import { recoverStage } from "../../workspace/exchange/send-files.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { LiveSandboxes } from "../sandbox/live-sandboxes.ts";
import type { Snapshots } from "../sandbox/snapshots.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { type BurstFilesDeps, createBurstFiles } from "./burst-files.ts";
import type { BurstRequest } from "./burst-request.ts";
import { type BurstSandboxDeps, createBurstSandbox } from "./burst-sandbox.ts";
import type { GpuPlace, GpuPlaces } from "./gpu-places.ts";
import type { Held, HeldGpus } from "./held-gpus.ts";

export interface ObtainGpuDeps extends Omit<BurstSandboxDeps, "limits" | "pool">, BurstFilesDeps {
  readonly pool: Pick<PoolStore, "identity" | "insertSandbox" | "ownSandbox" | "saveOrigin" | "saveUse" | "deleteUse">;
  readonly owner: string;
  readonly places: GpuPlaces;
  readonly held: HeldGpus;
  readonly limits: Limits;
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly lifecycle: Pick<SandboxLifecycle, "withSandbox">;
  readonly liveSandboxes: Pick<LiveSandboxes, "charge">;
  readonly snapshots: Pick<Snapshots, "find" | "freeze">;
}

/** A copy of a job's files. Other sandboxes are made from it as long as nothing but the work directory has changed. */
interface Copy {
  readonly recordID: string;
  readonly snapshotID: string;
  readonly before: FileTree;
}

const LIST_MS = 5 * 60_000;

/** Records what a job's burst is doing. */
export function record(sessionJobs: SessionJobs, jobID: string, change: Partial<Burst>): void {
  sessionJobs.update(jobID, (job) => {
    const burst = { ...NEW_BURST, ...job.burst };
    const isNews = Object.entries(change).some(([key, value]) => burst[key as keyof Burst] !== value);
    return isNews ? { ...job, burst: { ...burst, ...change } } : job;
  });
}

/** Gives a job a sandbox with one of the GPUs that a command asks for. */
export function createObtainGpu(deps: ObtainGpuDeps) {
  const { clock, limits, places, held, lifecycle, snapshots, pool } = deps;
  const copies = new Map<string, Copy>();

  /** @throws PluginError `no_capacity`, `budget_exceeded`, `cancelled`, and what making a sandbox throws */
  async function obtain(request: BurstRequest): Promise<Held> {
    const { sessionJobs, jobID, gpus, signal, command } = request;
    const since = clock.now();
    const onWait = (reason: string | null) => {
      record(sessionJobs, jobID, { reason });
      request.onWait(reason);
      held.look();
    };
    record(sessionJobs, jobID, { gpu: gpus.map(formatGpu).join("|"), doing: "waiting", command });
    const wait = { since, signal, onWait };
    let left = gpus;
    try {
      for (;;) {
        const place = await places.take(sessionJobs, jobID, left, wait);
        try {
          return await make(request, place, { since, kinds: gpus.length, onWait }).finally(() => forgetUse(jobID));
        } catch (error) {
          places.release(place);
          const isMissing = error instanceof PluginError && error.code === "no_capacity" && !signal.aborted;
          if (!isMissing || error instanceof AccountLimitError) throw error;
          left = left.filter((gpu) => formatGpu(gpu) !== formatGpu(place.gpu));
          if (left.length > 0) continue;
          if (error.retryable === false) throw error;
          await places.pause(gpus, error.message, wait);
          left = gpus;
        }
      }
    } catch (error) {
      held.forget(sessionJobs, jobID);
      throw error;
    }
  }

  async function make(
    request: BurstRequest,
    place: GpuPlace,
    { since, kinds, onWait }: { since: number; kinds: number; onWait: (reason: string | null) => void },
  ): Promise<Held> {
    const { sessionJobs, jobID, signal } = request;
    onWait("its files are being copied");
    record(sessionJobs, jobID, { doing: "starting" });
    const { job, copy } = await copyOf(request);
    const provider = await deps.provider(job.provider);
    const charge = (sandbox: Sandbox, gpu: GpuRequest | null) =>
      deps.liveSandboxes.charge(sessionJobs, jobID, sandbox, gpu);
    const onStep = (step: CreationStep) => onWait(request.describeStep(step, clock.now()) ?? "its sandbox is starting");
    const madeAt = clock.now();
    const { snapshotID } = copy;
    const creation = { place, snapshotID, since, kinds, signal, onStep, charge };
    const sandbox = await createBurstSandbox(deps, provider, job, creation);
    const from = sandbox.billedSince ?? clock.now();
    const rates = limits.rates(job, place.gpu);
    // With the first of these writes it counts; until then only its tags tell what it costs.
    sessionJobs.update(jobID, (current) => ({
      ...current,
      compute: openBurst(current.compute, rates, from, limits.sandboxUntil(job, madeAt)),
      burst: {
        ...(current.burst ?? NEW_BURST),
        gpu: formatGpu(sandbox.gpu?.granted ?? place.gpu),
        devices: sandbox.gpu?.devices ?? [],
        sandboxID: sandbox.id,
        since: from,
        reason: null,
      },
    }));
    pool.insertSandbox(sandbox.id, provider.name, jobID, job.orchestrator, clock.now());
    pool.ownSandbox(sandbox.id, deps.owner);
    pool.saveOrigin(sandbox.id, snapshotID);
    return held.hold({ sessionJobs, jobID, place, sandbox, files: createBurstFiles(deps, sandbox, copy.before) });
  }

  /** The copy of the job's files that is there, if nothing but the work directory has changed since; else a new one. */
  async function copyOf({ sessionJobs, jobID, here }: BurstRequest): Promise<{ job: Job; copy: Copy }> {
    const bounds = { clock, limitMs: LIST_MS };
    return lifecycle.withSandbox(sessionJobs, jobID, async (own) => {
      const job = sessionJobs.get(jobID);
      if (!job || own?.id !== here.id) throw new PluginError("cancelled", "The job's sandbox was given up.");
      const former = copies.get(jobID);
      if (former && snapshots.find(job.orchestrator, former.recordID) && (await isSameOutside(own, bounds))) {
        use(job, former);
        return { job, copy: former };
      }
      await recoverStage(own, bounds); // of a sandbox that was lost while files were put in place
      await markOutside(own, bounds);
      const before = (await listTree(own, bounds)).tree;
      const { id, storedAs } = await snapshots.freeze(sessionJobs, job, own);
      const copy = { recordID: id, snapshotID: storedAs ?? id, before };
      copies.set(jobID, copy);
      use(job, copy);
      return { job, copy };
    });
  }

  /** Until a sandbox is made from it, which may wait long for its GPU, the copy is not removed when the job is frozen again. */
  const use = ({ id, orchestrator }: Job, copy: Copy): void =>
    pool.saveUse({ id: burstHolder(id), orchestrator }, copy.recordID);

  function forgetUse(jobID: string): void {
    try {
      pool.deleteUse(burstHolder(jobID));
    } catch (error) {
      deps.log("warn", "could not record that a copy is not needed any more", { jobID, reason: String(error) });
    }
  }

  return { obtain, forgetCopy: (jobID: string) => void copies.delete(jobID) };
}
