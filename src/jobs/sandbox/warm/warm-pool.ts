import type { Environment } from "../../../config/environment.ts";
import { type AdmissionLimits, slotsOf } from "../../../core/admission.ts";
import { isEnded, type Job } from "../../../core/job.ts";
import type { Limits } from "../../../core/limits.ts";
import { gpusWanted } from "../../../core/machine-pool.ts";
import { chooseWarm, warmPlan } from "../../../core/warm.ts";
import { mayHaveWarm, plainJob } from "../../../core/warm-job.ts";
import type { SharedSteps } from "../../../sandboxes/creation-steps.ts";
import type { Sandbox } from "../../../sandboxes/port.ts";
import type { IdGenerator } from "../../../shared/ids.ts";
import type { Leases } from "../../queue/leases.ts";
import type { SessionRegistry } from "../../session/session-registry.ts";
import type { PoolState } from "../../store/lease-store.ts";
import type { PoolStore } from "../../store/pool-store.ts";
import type { FoundWarm, WarmSandbox } from "../../store/warm-rows.ts";
import { countWarm, type WarmCount } from "./counts.ts";
import { chooseGpu, isSameSet } from "./gpus.ts";
import { type CurrentImages, type ImagesDeps, isSuperseded, readImages } from "./images.ts";
import { createWarmKinds } from "./kinds.ts";
import { createOwnWarm, type OwnWarmDeps } from "./own-warm.ts";
import { createWarmUse, type WarmUse } from "./use.ts";
import { isAffordable, type WarmBudgetDeps } from "./warm-budget.ts";

/** One that a job has taken. */
export interface TakenWarm {
  readonly id: string;
  /** What it was made from is known only then. Rejects when it could not be made. */
  readonly made: Promise<{ readonly sandbox: Sandbox; readonly warm: WarmSandbox }>;
  readonly steps: SharedSteps;
}

/**
 * Sandboxes that are kept ready for jobs that do not exist yet, while their environment is in use or the user types. They
 * are shared by the processes of a state directory, and given up for jobs.
 */
export interface WarmPool {
  /** The user writes or types in a session: what it may need soon is made. Returns at once. */
  touch(orchestrator: string): void;
  /** A job of the environment gets its first sandbox, warm or not. */
  started(job: Job): void;
  /** Takes one for the job, which nobody else gets from then on; null = there is none that fits. */
  take(job: Job, devices: readonly string[] | null): TakenWarm | null;
  /** The job has it, and it is no warm one any more. */
  given(id: string, jobID: string): void;
  /** The job that has taken it does not get it: it is ended. */
  giveUp(id: string, jobID: string): void;
  /** Sets one with GPUs aside for a queued job, whose own they count as from then on. @returns whether there is one */
  reserve(job: Job): boolean;
  /** The job does not want what was set aside for it. No-op if it has it, or has none. */
  release(jobID: string): void;
  /** Gives up those that hold GPUs, if a job or a command that waits could start without them. */
  makeWay(couldStart: (without: PoolState) => boolean): void;
  /** Gives up all: the account has no room for a job's sandbox. */
  clear(why: string): void;
  counts(orchestrator: string): readonly WarmCount[];
  /** Gives up all of this process. Never rejects. */
  suspend(): Promise<void>;
}

export interface WarmPoolDeps
  extends Omit<OwnWarmDeps, "onChange" | "onForgotten" | "trees">,
    WarmBudgetDeps,
    ImagesDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  /** Where the host is open: another project's are not alike. */
  readonly directory: string | null;
  readonly trees: OwnWarmDeps["trees"] & ImagesDeps["trees"];
  readonly pool: PoolStore;
  readonly limits: Limits;
  /** Names this process. */
  readonly owner: string;
  readonly registry: Pick<SessionRegistry, "inUse" | "isDeleted" | "visit" | "onChange">;
  readonly admissionLimits: AdmissionLimits;
  readonly leases: Pick<Leases, "tellFreed">;
  readonly ids: IdGenerator;
}

/** While anything is kept ready, what other processes ask for is looked up this often. */
const LOOK_MS = 2_000;
const RENEW_MS = 8_000;
/** Made at once, beside the sandboxes of jobs. */
const AT_ONCE = 4;

export function createWarmPool(deps: WarmPoolDeps): WarmPool {
  const { environments, providerName, pool, owner, admissionLimits, clock, log } = deps;
  const kinds = createWarmKinds(deps);
  const uses = new Map<string, WarmUse>();
  for (const [name, { warm }] of Object.entries(environments))
    if (warm > 0) uses.set(name, createWarmUse(kinds.placeOf(name), warm, { pool, clock }));
  const own = createOwnWarm({ ...deps, onChange: () => lookIn(LOOK_MS), onForgotten: deps.leases.tellFreed });
  /** What this process's jobs have taken and do not have yet, by job id. */
  const claimed = new Map<string, string>();
  let images: CurrentImages = new Map();
  /** The session that was written in last: what is begun now counts against its budget. */
  let session: string | null = null;
  let cancelLook: (() => void) | null = null;
  let looking = false;
  let renewedAt = 0;
  let suspended = false;
  const stopListening = deps.registry.onChange(({ before, job }) => {
    if (before && !isEnded(before.state) && isEnded(job.state)) uses.get(job.task.environment)?.touch();
  });

  const free = (): FoundWarm[] => pool.warmSandboxes(clock.now()).filter((warm) => !warm.isAbandoned && isFree(warm));

  function lookIn(delayMs: number): void {
    if (suspended || (cancelLook && delayMs > 0)) return;
    cancelLook?.();
    cancelLook = clock.after(delayMs, () => {
      cancelLook = null;
      void look();
    });
  }

  async function look(): Promise<void> {
    if (looking) return lookIn(LOOK_MS);
    looking = true;
    try {
      images = await readImages(deps);
      tidy();
      if (!suspended) await adjust();
    } catch (error) {
      log("warn", "could not look after sandboxes that are kept ready", { reason: String(error) });
    } finally {
      looking = false;
    }
    if (own.all().length > 0 || [...uses.values()].some((use) => use.target() > 0)) lookIn(LOOK_MS);
  }

  /** Ends what is worn and what others want ended. */
  function tidy(): void {
    const now = clock.now();
    if (own.all().length > 0 && now - renewedAt >= RENEW_MS) {
      pool.renewWarm(owner, now);
      renewedAt = now;
    }
    const known = new Map(pool.warmSandboxes(now).map((warm) => [warm.id, warm]));
    for (const [id, { isEnding }] of own.all()) {
      const warm = known.get(id);
      if (isEnding) continue;
      // Another process has given it to a job. Where only its record was lost, garbage collection finds it by its tag.
      if (!warm || warm.owner !== owner) own.drop(id);
      else if (warm.state === "ending") own.end(id);
      else if (warm.state === "ready" && isFree(warm) && (kinds.isStale(warm, now) || isSuperseded(warm, images)))
        endFree(id);
    }
  }

  /** Makes what is missing, and gives up what is too much or cannot be paid. */
  async function adjust(): Promise<void> {
    const now = clock.now();
    const { leases, queue } = pool.poolState(now);
    const all = free();
    const states = [...uses].map(([environment, use]) => ({
      environment,
      target: use.target(),
      present: all.filter((warm) => kinds.isOf(warm, environment)).length,
      retryAt: use.retryAt(),
    }));
    const queued = queue[Symbol.iterator]().next().done === true ? 0 : 1;
    const room = admissionLimits.maxRunningJobs - slotsOf(leases);
    for (const { environment, make, giveUp } of warmPlan(states, { room, queued, now })) {
      const mine = all.filter(({ id, ...warm }) => kinds.isOf(warm, environment) && own.get(id));
      for (const { id } of giveUp > 0 ? mine.slice(-giveUp) : []) endFree(id);
      for (let n = Math.min(make, AT_ONCE - own.making()); n > 0; n--) await begin(environment);
    }
    await keepWithinBudget();
  }

  /** They are given up before a job has to stop for the sake of money. */
  async function keepWithinBudget(): Promise<void> {
    const mine = free().filter(({ id }) => own.get(id));
    for (const orchestrator of new Set(mine.map((warm) => warm.orchestrator))) {
      const those = mine.filter((warm) => warm.orchestrator === orchestrator);
      const usdPerHour = those.reduce((sum, warm) => sum + warm.usdPerHour, 0);
      if (!(await isAffordable(deps, orchestrator, usdPerHour))) for (const { id } of those) endFree(id);
    }
  }

  async function begin(name: string): Promise<void> {
    const [environment, use, orchestrator] = [environments[name], uses.get(name), session];
    if (!environment || !use || orchestrator === null) return;
    const id = deps.ids("warm");
    const job = plainJob(name, environment, { id, orchestrator, provider: providerName, now: clock.now() });
    const [gpu = null] = gpusWanted(job); // the first choice only: nobody waits for it yet
    const usdPerHour = deps.limits.rates(job, gpu).most;
    if (!(await isAffordable(deps, orchestrator, usdPerHour)) || suspended) return;
    const now = clock.now();
    const target = use.target();
    const begun = pool.beginWarm((all) => {
      if (all.filter((one) => isFree(one) && kinds.isOf(one, name)).length >= target) return null;
      const choice = chooseGpu(gpu, pool.poolState(now), admissionLimits, now);
      if (!choice) return null;
      return {
        ...{ id, state: "making", owner, jobID: null, sandboxID: null, environment: name, orchestrator },
        ...{ key: kinds.keyOf(name), provider: providerName, madeAt: now, since: null, until: null, usdPerHour },
        ...{ gpu: choice.gpu, devices: choice.devices ?? null, start: null, image: null, tree: null, takenAt: null },
      };
    }, now);
    if (begun) own.make({ warm: begun, job, environment, use });
  }

  /** Ends one unless a job has taken it meanwhile. One of another process is ended there. */
  function endFree(id: string): void {
    if (pool.endWarm(id)) own.end(id);
  }

  function claim(job: Job, isFitting: (warm: WarmSandbox) => boolean): WarmSandbox | null {
    const environment = environments[job.task.environment];
    if (suspended || !environment || job.provider !== providerName || !uses.has(job.task.environment)) return null;
    if (!mayHaveWarm(job, environment)) return null;
    const choose = (all: readonly WarmSandbox[]) =>
      chooseWarm(all.filter(isFitting).map((warm) => ({ ...warm, isReady: warm.state === "ready" })));
    const taken = pool.takeWarm(job.id, owner, choose, clock.now());
    if (taken) claimed.set(job.id, taken.id);
    return taken;
  }

  function fits(warm: WarmSandbox, job: Job): boolean {
    if (!kinds.suits(warm, job, clock.now()) || isSuperseded(warm, images)) return false;
    const one = own.get(warm.id);
    return one ? !one.isEnding : kinds.canBeFoundAgain(warm);
  }

  async function attach({ environment, sandboxID }: WarmSandbox): Promise<Sandbox> {
    return (await deps.provider(providerName)).attach(sandboxID ?? "", kinds.envOf(environment));
  }

  return {
    touch(orchestrator) {
      if (suspended || uses.size === 0) return;
      session = orchestrator;
      for (const use of uses.values()) use.touch();
      lookIn(0);
    },
    started(job) {
      const [use, environment] = [uses.get(job.task.environment), environments[job.task.environment]];
      if (!use || !environment || suspended || !mayHaveWarm(job, environment)) return;
      session = job.orchestrator;
      use.started();
      lookIn(LOOK_MS);
    },
    take(job, devices) {
      const warm = claim(job, (each) => fits(each, job) && isSameSet(each.devices, devices));
      if (!warm) return null;
      const { id } = warm;
      const { made, steps } = own.get(id) ?? own.hold(id, attach(warm));
      const find = () => pool.warmSandboxes(clock.now()).find((each) => each.id === id);
      return { id, made: made.then((sandbox) => ({ sandbox, warm: find() ?? warm })), steps };
    },
    given(id, jobID) {
      claimed.delete(jobID);
      own.forget(id);
    },
    giveUp(id, jobID) {
      claimed.delete(jobID);
      if (pool.endWarm(id, jobID)) own.end(id);
    },
    reserve: (job) => claim(job, (warm) => warm.gpu !== null && fits(warm, job)) !== null,
    release(jobID) {
      const id = claimed.get(jobID);
      if (id === undefined || suspended) return; // what a process leaves is collected after its end
      claimed.delete(jobID);
      pool.returnWarm(id, jobID);
    },
    makeWay(couldStart) {
      const holding = free().filter(({ gpu }) => gpu !== null);
      if (holding.length === 0) return;
      const held = new Set(holding.map(({ id }) => id));
      const { leases, queue } = pool.poolState(clock.now());
      if (!couldStart({ leases: leases.filter(({ jobID }) => !held.has(jobID)), queue })) return;
      for (const { id } of holding) endFree(id);
    },
    clear(why) {
      const all = free();
      if (all.length > 0) log("info", "sandboxes that were kept ready are given up", { reason: why });
      for (const { id } of all) endFree(id);
    },
    counts: (orchestrator) =>
      countWarm([...uses], { warm: free(), isOf: kinds.isOf, costs: pool.warmCosts(orchestrator, clock.now()) }),
    async suspend() {
      suspended = true;
      stopListening();
      cancelLook?.();
      const resting = own.suspend();
      for (const [id] of own.all()) endFree(id);
      await resting;
    },
  };
}

const isFree = ({ jobID, state }: WarmSandbox): boolean => jobID === null && state !== "ending";
