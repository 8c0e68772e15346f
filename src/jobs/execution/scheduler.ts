import { formatGpu, type GpuRequest, gpusOf } from "../../config/gpu.ts";
import type { Clock } from "../../shared/clock.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Log } from "../../shared/log.ts";
import type { QueuePlace } from "../core/admission.ts";
import { type AdmissionLimits, countGpus, decideAdmission, fitsInstead, type LeaseUse } from "../core/admission.ts";
import type { BudgetAdmission } from "../core/budget.ts";
import { expectRate } from "../core/cost.ts";
import { isHeld, type Job, transition } from "../core/job.ts";
import { createLeases } from "../queue/leases.ts";
import { createLocalQueue, type QueuedJob } from "../queue/local-queue.ts";
import type { SessionJobs } from "../session/session-jobs.ts";
import type { LeaseStore, PoolState } from "../store/lease-store.ts";

export interface PoolCounts {
  readonly running: number;
  readonly queued: number;
  readonly gpus: ReturnType<typeof countGpus>;
}

/** Lets queued jobs run, in the order that admission decides, while slots and GPUs last. */
export interface Scheduler {
  enqueue(sessionJobs: SessionJobs, jobID: string): void;
  /** Takes a job out of the queue; one that is not in it is no error. */
  remove(jobID: string): void;
  place(jobID: string): QueuePlace | null;
  /** Of all processes; queued ones of this process. */
  counts(): PoolCounts;
  /** Makes `gpu` what a running job holds, if the limits allow it: what was granted is what counts. */
  claimGpu(job: Job, gpu: GpuRequest): boolean;
  /** GPUs of a sandbox that a former process left, until it is ended. */
  keepGpu(job: Job): void;
  /** A sandbox is no more: its GPUs are free. */
  sandboxEnded(jobID: string): void;
  /** Stops admitting; leases of jobs that still run are kept until their runs end. */
  suspend(): void;
}

export interface SchedulerDeps {
  readonly pool: LeaseStore;
  readonly owner: string;
  readonly limits: AdmissionLimits;
  readonly clock: Clock;
  readonly ids: IdGenerator;
  readonly log: Log;
  /** Runs an admitted job to its end; never rejects. */
  readonly runJob: (sessionJobs: SessionJobs, jobID: string) => Promise<void>;
  /** USD per hour of a job's sandbox with this GPU. */
  readonly rate: (job: Job, gpu: GpuRequest | null) => number;
  /** Whether its session's money allows a queued job to start. */
  readonly afford: (sessionJobs: SessionJobs, job: Job) => BudgetAdmission;
  /** Whether a sandbox of the job may still stand. */
  readonly hasSandbox: (jobID: string) => boolean;
  /** Another process asks that a job of ours be cancelled. */
  readonly onCancelAsked: (
    job: { readonly orchestrator: string; readonly jobID: string },
    reason: string | null,
  ) => void;
  /** A job that was queued here is run by another process of its session, or was. */
  readonly onOtherProcess: (sessionJobs: SessionJobs, jobID: string) => void;
  /** A job waits: make room that is only kept for comfort. */
  readonly onPressure: () => void;
}

/** While something is held by other processes nobody tells us of its release. */
const OTHER_PROCESS_POLL_MS = 2_000;

export function createScheduler(deps: SchedulerDeps): Scheduler {
  const { pool, owner, limits, clock } = deps;
  const line = createLocalQueue({ ...deps, onFreed: () => pump() });
  let stopPoll: (() => void) | null = null;
  let suspended = false;
  const held = createLeases({
    ...deps,
    renewQueue: line.renew,
    onFreed: () => pump(),
  });

  function pump(): void {
    stopPoll?.();
    stopPoll = null;
    if (suspended) return;
    try {
      const unsettledMs = pool.unsettledUntil() - clock.now();
      if (unsettledMs > 0 && line.all().length > 0) {
        stopPoll = clock.after(unsettledMs, pump);
        return;
      }
      const sessions = new Set<SessionJobs>();
      for (const next of [...line.all()]) if (line.all().includes(next) && affords(next, sessions)) admit(next);
      if (line.all().length === 0) return;
      deps.onPressure();
      const { leases, queue } = pool.poolState(clock.now());
      if ([...leases, ...queue].some((one) => one.owner !== owner)) stopPoll = clock.after(OTHER_PROCESS_POLL_MS, pump);
    } catch (error) {
      // A full disk or a locked file passes; the jobs keep their places meanwhile.
      deps.log("error", "could not start queued jobs", { queued: line.all().length, reason: String(error) });
      stopPoll = clock.after(OTHER_PROCESS_POLL_MS, pump);
    }
  }

  /** In order of arrival too. @param shortOf sessions of which a job before this one waits for money */
  function affords(next: QueuedJob, budgetReasonOf: Set<SessionJobs>): boolean {
    const { sessionJobs, jobID } = next;
    const job = sessionJobs.get(jobID);
    if (job?.state.kind !== "queued") return true; // `admit` drops it
    const decision = deps.afford(sessionJobs, job);
    if (decision.kind === "refuse") {
      line.drop(next);
      const { failure } = decision;
      sessionJobs.update(jobID, (current) => transition(current, { kind: "failed", failure }, clock.now()));
      return false;
    }
    if (decision.kind === "wait" || budgetReasonOf.has(sessionJobs)) {
      budgetReasonOf.add(sessionJobs);
      line.blockOnBudget(next, decision.kind === "wait" ? decision.reason : "waiting for budget, behind another job");
      return false;
    }
    line.unblock(next);
    return true;
  }

  function decide(jobID: string, gpu: string | null, { leases, queue }: PoolState) {
    const index = queue.findIndex((one) => one.jobID === jobID);
    const ahead = index < 0 ? queue : queue.slice(0, index);
    const others = leases.filter((one) => one.jobID !== jobID);
    return decideAdmission(gpusOf(gpu), { leases: others, ahead }, limits, clock.now());
  }

  function admit(next: QueuedJob): void {
    const { sessionJobs, jobID } = next;
    const queued = sessionJobs.get(jobID);
    if (queued?.state.kind !== "queued") {
      line.drop(next);
      if (queued && isHeld(queued.state)) deps.onOtherProcess(sessionJobs, jobID);
      return;
    }
    const use = (state: PoolState): LeaseUse | null => {
      const decision = decide(jobID, queued.task.gpu, state);
      return decision.kind === "admit" ? { slots: 1, gpu: decision.gpu } : null;
    };
    // Looking first spares the write lock, which all processes share.
    const state = pool.poolState(clock.now());
    if (state.leases.some((one) => one.jobID === jobID && one.owner !== owner && one.slots > 0)) {
      if (sessionJobs.reload(jobID).state.kind === "queued") return; // its lease comes before its state
      line.drop(next);
      deps.onOtherProcess(sessionJobs, jobID);
      return;
    }
    if (!use(state)) return;
    const request = { id: deps.ids("lease"), jobID, orchestrator: sessionJobs.orchestrator, owner };
    const lease = pool.acquireLease(request, use, clock.now());
    if (!lease) return;
    held.add(lease);
    line.takeOut(next);
    let job: Job;
    try {
      sessionJobs.reload(jobID); // another process of the session may have run it meanwhile
      job = sessionJobs.update(jobID, (current) => {
        const starting = transition(current, { kind: "starting", leaseID: lease.id }, clock.now());
        if (starting === current) return current;
        const compute = expectRate(current.compute, deps.rate(current, lease.gpu));
        return { ...starting, startedAt: current.startedAt ?? clock.now(), compute };
      });
    } catch (error) {
      line.putBack(next);
      held.release(lease.id);
      throw error;
    }
    line.leaveQueue(jobID);
    const isOurs = job.state.kind === "starting" && job.state.leaseID === lease.id;
    if (!isOurs && isHeld(job.state)) deps.onOtherProcess(sessionJobs, jobID);
    const done = isOurs ? deps.runJob(sessionJobs, jobID) : Promise.resolve();
    void done.finally(() => {
      free(jobID, lease.id);
      pump();
    });
  }

  /** The slot at once; the GPUs with the sandbox that has them, which may linger. */
  function free(jobID: string, leaseID: string): void {
    const lease = held.get(leaseID);
    if (!lease?.gpu || !deps.hasSandbox(jobID)) {
      held.release(leaseID);
      return;
    }
    try {
      const idle = { ...lease, slots: 0 as const };
      held.change(idle);
      pool.renewLeases([idle], clock.now());
    } catch (error) {
      deps.log("warn", "could not free a slot yet", { leaseID, reason: String(error) }); // the next renewal does
    }
  }

  return {
    enqueue(sessionJobs, jobID) {
      line.add({ sessionJobs, jobID });
      held.renew();
      // A whole batch is recorded before its first job runs: the call that started it must not wait for that.
      clock.after(0, pump);
    },
    remove(jobID) {
      const one = line.find(jobID);
      if (one) line.drop(one);
    },
    place(jobID) {
      const one = line.find(jobID);
      if (!one) return null;
      const reason = line.budgetReasonOf(jobID);
      if (reason !== undefined) return { position: line.all().indexOf(one) + 1, reason };
      const state = pool.poolState(clock.now());
      const index = state.queue.findIndex((entry) => entry.jobID === jobID);
      const decision = decide(jobID, one.sessionJobs.get(jobID)?.task.gpu ?? null, state);
      const position = (index < 0 ? state.queue.length : index) + 1;
      return { position, reason: decision.kind === "wait" ? decision.reason : null };
    },
    counts() {
      const { leases } = pool.poolState(clock.now());
      const running = leases.reduce((sum, { slots }) => sum + slots, 0);
      return { running, queued: line.all().length, gpus: countGpus(leases, limits.gpus) };
    },
    claimGpu(job, gpu) {
      const lease = "leaseID" in job.state ? held.get(job.state.leaseID) : undefined;
      if (!lease) return false;
      if (lease.gpu && formatGpu(lease.gpu) === formatGpu(gpu)) return true;
      const use: LeaseUse = { slots: 1, gpu };
      const allowed = (state: PoolState) =>
        fitsInstead(gpu, { leases: state.leases, ahead: state.queue }, limits, clock.now());
      if (!pool.changeLease(lease, use, allowed, clock.now())) return false;
      held.change({ ...lease, ...use });
      pump(); // what it held before may be what another waits for
      return true;
    },
    keepGpu({ id, orchestrator, gpu }) {
      const [kept] = gpusOf(gpu);
      if (!kept) return;
      const request = { id: deps.ids("lease"), jobID: id, orchestrator, owner };
      const lease = pool.acquireLease(request, () => ({ slots: 0, gpu: kept }), clock.now());
      if (lease) held.add(lease);
    },
    sandboxEnded(jobID) {
      held.releaseIdle(jobID);
      pump();
    },
    suspend() {
      suspended = true;
      stopPoll?.();
      held.stop();
      line.suspend();
      for (const one of [...line.all()]) line.drop(one);
    },
  };
}
