import { formatGpu } from "../../config/gpu.ts";
import type { ProviderName } from "../../config/provider-names.ts";
import { burstHolder, isEnough, withoutBurst } from "../../core/burst.ts";
import type { BurstReturn, LeftBehind } from "../../core/burst-return.ts";
import { isHeld } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { decideWait } from "../../core/linger.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import { createSerialQueues } from "../../shared/serial-queues.ts";
import { DeadlineError, within } from "../../shared/time-limit.ts";
import { isSameOutside } from "../../workspace/exchange/outside.ts";
import { recoverStage } from "../../workspace/exchange/send-files.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";
import type { PoolStore } from "../store/pool-store.ts";
import type { BurstRequest } from "./burst-request.ts";
import { type ReturnDeps, toReturn } from "./burst-return.ts";
import { createGaps } from "./gaps.ts";
import { createGpuPlaces, type GpuPlacesDeps } from "./gpu-places.ts";
import { createHeldGpus, type Held, type HeldGpusDeps } from "./held-gpus.ts";
import { createObtainGpu, type ObtainGpuDeps, record } from "./obtain-gpu.ts";

/**
 * Commands of jobs that run on a GPU while the job's own sandbox lives on: in a sandbox made from a copy of its files, whose
 * changes come back. It stays for the job's next command while that is likely to pay, unless somebody else waits for its GPUs,
 * and ends with its job. One command at a time has the GPUs of a job.
 */
export interface Bursts {
  /**
   * Runs `use` in a sandbox with one of the GPUs, and brings back what has changed there, also where `use` was stopped.
   * @throws PluginError `no_capacity`, `budget_exceeded`, `cancelled`, and what making a sandbox and `use` throw
   */
  run<T>(request: BurstRequest, use: (there: Sandbox, signal: AbortSignal) => Promise<T>): Promise<BurstEnd<T>>;
  /** Gives up GPUs that no command uses and somebody waits for. */
  giveUpWaitedFor(): void;
  /**
   * Ends what a former process has left of a job's burst, and finishes or undoes the return of its files. Never rejects.
   * @param hasNewest whether the job's files are as that process has left them
   */
  recover(sessionJobs: SessionJobs, jobID: string, here: Sandbox, hasNewest: boolean): Promise<LeftBehind | null>;
  /** Ends all of them: the state files are about to be closed. */
  suspend(): Promise<void>;
}

export interface BurstEnd<T> {
  readonly result: T;
  readonly gpu: string;
  readonly devices: readonly string[];
  /** Whether the job had its GPUs already. */
  readonly wasThere: boolean;
  readonly returned: BurstReturn;
}

export interface BurstsDeps
  extends Omit<GpuPlacesDeps, "limits" | "pool">,
    Omit<HeldGpusDeps, "limits" | "pool" | "places">,
    Omit<ObtainGpuDeps, "limits" | "pool" | "places" | "held" | "snapshots">,
    Omit<ReturnDeps, "snapshots"> {
  readonly pool: PoolStore;
  readonly limits: Limits;
  readonly snapshots: ObtainGpuDeps["snapshots"] & ReturnDeps["snapshots"];
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly registry: Pick<SessionRegistry, "onChange">;
  /** Longest time for which GPUs wait for the next command, milliseconds. */
  readonly lingerMs: number;
}

/** Time for files to come back: of a command that has ended, of one that was stopped, and when OpenCode ends. */
const RETURN_MS = 15 * 60_000;
const STOPPED_RETURN_MS = 2 * 60_000;
const SUSPENDED_RETURN_MS = 6_000;
const LOOK_MS = 60_000;

export function createBursts(deps: BurstsDeps): Bursts {
  const { clock, log, lifecycle } = deps;
  const places = createGpuPlaces(deps);
  const held = createHeldGpus({ ...deps, places });
  const { obtain, forgetCopy } = createObtainGpu({ ...deps, places, held });
  const perJob = createSerialQueues();
  const gaps = createGaps(clock);
  /** Commands of a job that wait for another one of it to end. */
  const inLine = new Map<string, number>();
  /** Stops the commands of a job that ends. */
  const endings = new Map<string, AbortController>();
  let suspended = false;

  const stopListening = deps.registry.onChange(({ job }) => {
    if (!isHeld(job.state)) end(job.id);
  });

  function end(jobID: string): void {
    endings.get(jobID)?.abort();
    endings.delete(jobID);
    forgetCopy(jobID);
    gaps.forget(jobID);
    const one = held.of(jobID);
    if (one && one.idleSince !== null) void held.giveUp(one);
  }

  /** How long the GPUs of a command that has ended wait for the next. Those of this machine cost nothing while nobody else needs them. */
  function waitOf({ jobID, place }: Held, ending: AbortSignal): number {
    if (ending.aborted) return 0;
    return inLine.has(jobID) || place.gpu.onMachine ? deps.lingerMs : decideWait(gaps.of(jobID), deps.lingerMs);
  }

  async function runNow<T>(
    request: BurstRequest,
    use: (there: Sandbox, signal: AbortSignal) => Promise<T>,
    { ending, askedAt }: { readonly ending: AbortSignal; readonly askedAt: number },
  ): Promise<BurstEnd<T>> {
    const { sessionJobs, jobID, here, signal, command } = request;
    if (signal.aborted || suspended) throw new PluginError("cancelled", "The command was stopped before it had a GPU.");
    const kept = await takeIdle(request, askedAt);
    const one = kept ?? (await obtainNew(request));
    try {
      record(sessionJobs, jobID, { doing: "starting", command, isPlacing: false });
      request.onWait("its files are being sent");
      await one.files.send(here, signal);
      request.onWait(null);
      record(sessionJobs, jobID, { doing: "running", reason: null });
      if (!kept) gaps.ready(jobID, askedAt);
      const running = use(one.sandbox, signal);
      const returning = returnAfter(request, one, running);
      const [ran] = await Promise.allSettled([running]);
      const returned = await returning;
      if (ran.status === "rejected") throw ran.reason;
      const { place, sandbox } = one;
      return {
        result: ran.value,
        gpu: formatGpu(sandbox.gpu?.granted ?? place.gpu),
        devices: sandbox.gpu?.devices ?? [],
        wasThere: kept !== null,
        returned,
      };
    } finally {
      if (!ending.aborted) gaps.ended(jobID, one.place.gpu);
      await held.release(one, waitOf(one, ending));
    }
  }

  /** The sandbox of the job's last command, if it will do for this one; it is given up where it will not. */
  async function takeIdle({ jobID, gpus, here }: BurstRequest, askedAt: number): Promise<Held | null> {
    const idle = held.of(jobID);
    if (idle) held.use(idle);
    let isFit = false;
    try {
      const isStale = idle !== null && !(await isSameOutside(here, { clock, limitMs: LOOK_MS }));
      gaps.asked(jobID, askedAt, gpus, isStale);
      isFit = idle !== null && !isStale && isEnough(idle.place.gpu, gpus) && !idle.hasEnded();
    } finally {
      if (idle && !isFit) void held.giveUp(idle);
    }
    return isFit ? idle : null;
  }

  /** New GPUs, once those have ended that the job has given up. @throws PluginError as `obtain` does */
  async function obtainNew(request: BurstRequest): Promise<Held> {
    const former = held.ending(request.jobID);
    if (former) {
      request.onWait("the GPU it had before is being ended");
      const bounds = { clock, limitMs: deps.limits.gpuWait.totalMs, signal: request.signal };
      await within(former, { ...bounds, doing: "Ending the GPU that the job had before" }).catch((error: unknown) => {
        if (error instanceof DeadlineError)
          throw new PluginError("no_capacity", `${error.message}.`, { retryable: true });
        throw new PluginError("cancelled", "The command was stopped before it had a GPU.");
      });
    }
    return obtain(request);
  }

  /** Brings back what the command has changed. Where it is stopped, that comes before the job's sandbox is parked. */
  async function returnAfter(request: BurstRequest, one: Held, running: Promise<unknown>): Promise<BurstReturn> {
    const { sessionJobs, jobID, here, signal, exclusively } = request;
    const rested = Promise.allSettled([running]);
    const { promise: stopped, resolve: stop } = Promise.withResolvers<void>();
    signal.addEventListener("abort", () => stop(), { once: true });
    if (signal.aborted) stop();
    await Promise.race([rested, stopped]);
    const files = lifecycle.withSandbox(sessionJobs, jobID, async (own) => {
      await rested;
      if (own?.id !== here.id) throw new Error("the job's sandbox was given up before");
      record(sessionJobs, jobID, { doing: "returning" });
      const limitMs = suspended ? SUSPENDED_RETURN_MS : signal.aborted ? STOPPED_RETURN_MS : RETURN_MS;
      const late = new AbortController();
      const cancel = clock.after(limitMs, () => late.abort());
      const onPlace = () => record(sessionJobs, jobID, { isPlacing: true });
      return one.files.bringBack(own, { limitMs, signal: late.signal, exclusively, onPlace }).finally(cancel);
    });
    return toReturn(deps, one, files, () => !signal.aborted);
  }

  return {
    async run(request, use) {
      const { jobID } = request;
      const ending = endings.get(jobID) ?? new AbortController();
      endings.set(jobID, ending);
      const signal = AbortSignal.any([request.signal, ending.signal]);
      if (held.of(jobID)?.idleSince === null) request.onWait("another command of this job has the GPU");
      const askedAt = clock.now();
      inLine.set(jobID, (inLine.get(jobID) ?? 0) + 1);
      return perJob.run(jobID, () => {
        const others = (inLine.get(jobID) ?? 1) - 1;
        if (others > 0) inLine.set(jobID, others);
        else inLine.delete(jobID);
        return runNow({ ...request, signal }, use, { ending: ending.signal, askedAt });
      });
    },
    giveUpWaitedFor: held.look,
    async recover(sessionJobs, jobID, here, hasNewest) {
      const job = sessionJobs.get(jobID);
      const { burst } = job ?? {};
      if (!job || !burst || held.of(jobID) || held.ending(jobID)) return null;
      try {
        // Its row stays until garbage collection does not find it any more: what has none is not counted yet.
        if (burst.sandboxID !== null) await (await deps.provider(job.provider)).terminate(burst.sandboxID);
      } catch (error) {
        // Its tags say whose it is: garbage collection ends it, and charges what it costs until then.
        log("warn", "could not end a sandbox with a GPU", { jobID, sandboxID: burst.sandboxID, reason: String(error) });
        const { usdPerHour = 0 } = job.compute.burst ?? {};
        if (burst.sandboxID !== null)
          deps.pool.saveSandboxCost(burst.sandboxID, { usdPerHour, chargedTo: clock.now() });
      }
      const how = await recoverStage(here, { clock, limitMs: LOOK_MS }).catch(() => "unknown" as const);
      sessionJobs.update(jobID, (current) => withoutBurst(current, clock.now()));
      deps.pool.deleteUse(burstHolder(jobID)); // of a sandbox that was being made when the process ended
      const { command, doing, isPlacing } = burst;
      const isInPlace = how === "nothing" && doing === "returning" && isPlacing === true && hasNewest;
      if (how === "finished" || isInPlace) return { command, was: "returned" };
      return { command, was: doing === "idle" || doing === "returning" ? doing : "running" };
    },
    async suspend() {
      suspended = true;
      stopListening();
      for (const ending of endings.values()) ending.abort();
      await held.suspend();
      await perJob.settled();
    },
  };
}
