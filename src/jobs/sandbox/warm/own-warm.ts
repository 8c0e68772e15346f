import type { Environment } from "../../../config/environment.ts";
import type { ProviderName } from "../../../config/provider-names.ts";
import { usdOver } from "../../../core/cost.ts";
import type { Job } from "../../../core/job.ts";
import type { Limits } from "../../../core/limits.ts";
import { SharedSteps } from "../../../sandboxes/creation-steps.ts";
import type { Sandbox, SandboxProvider } from "../../../sandboxes/port.ts";
import type { Log } from "../../../shared/log.ts";
import type { PoolStore } from "../../store/pool-store.ts";
import type { WarmSandbox } from "../../store/warm-rows.ts";
import type { PriceList } from "../price-list.ts";
import { type MakeDeps, makeWarm } from "./make.ts";
import type { WarmUse } from "./use.ts";

export interface OwnSandbox {
  /** Rejects when it could not be made, or is not wanted any more. */
  readonly made: Promise<Sandbox>;
  readonly steps: SharedSteps;
  readonly abort: AbortController;
  /** null = it is being made. */
  sandbox: Sandbox | null;
  isEnding: boolean;
}

/** The sandboxes that this process keeps ready, or has taken from another: how they are made and ended. */
export interface OwnWarm {
  get(id: string): OwnSandbox | undefined;
  all(): readonly (readonly [id: string, one: OwnSandbox])[];
  /** How many are being made. */
  making(): number;
  /** Makes one that is recorded as begun. */
  make(request: MakeOne): void;
  /** Holds one that is found again. */
  hold(id: string, found: Promise<Sandbox>): OwnSandbox;
  /** It is somebody else's: nothing is done to it any more. */
  drop(id: string): void;
  /** It is recorded as ending: nobody gets it any more. Its cost and its GPUs count until it has ended. */
  end(id: string): void;
  /** It is a job's, or has ended. */
  forget(id: string): void;
  /** Makes none from now on. @returns when all has ended that was being ended */
  suspend(): Promise<unknown>;
}

export interface MakeOne {
  readonly warm: WarmSandbox;
  readonly job: Job;
  readonly environment: Environment;
  readonly use: WarmUse;
}

export interface OwnWarmDeps extends MakeDeps {
  readonly providerName: ProviderName;
  readonly provider: (name: ProviderName) => Promise<SandboxProvider>;
  readonly pool: PoolStore;
  readonly prices: Pick<PriceList, "read">;
  readonly limits: Limits;
  readonly log: Log;
  /** Something has changed here: what is kept ready is to be looked after. */
  readonly onChange: () => void;
  /** One counts no more: its GPUs are free, or its job's. */
  readonly onForgotten: () => void;
}

const AGAIN_MS = 5_000;

export function createOwnWarm(deps: OwnWarmDeps): OwnWarm {
  const { pool, clock, log } = deps;
  const own = new Map<string, OwnSandbox>();
  const ending = new Set<Promise<unknown>>();
  let suspended = false;

  function make({ warm, job, environment, use }: MakeOne): void {
    const { id } = warm;
    const steps = new SharedSteps();
    const abort = new AbortController();
    const charge = (ms: number) => {
      const usd = usdOver(warm.usdPerHour, ms);
      if (!suspended) pool.addWarmCost(warm.orchestrator, warm.environment, usd);
      return usd;
    };
    const making = async (): Promise<Sandbox> => {
      const provider = await deps.provider(deps.providerName);
      await deps.prices.read(provider);
      const { usdPerHour: rate } = warm;
      const request = {
        warm,
        job,
        environment,
        provider,
        charge,
        usdPerHour: rate,
        onStep: steps.tell,
        signal: abort.signal,
      };
      const { sandbox, ...known } = await makeWarm(deps, request);
      one.sandbox = sandbox;
      const usdPerHour = deps.limits.rates(job, warm.gpu).most;
      try {
        if (suspended || one.isEnding || !pool.finishWarm(id, sandbox.id, { ...known, usdPerHour }))
          throw new Error("it is not wanted any more");
      } catch (error) {
        endNow(id, one, sandbox); // what is not recorded as ready would cost money that nobody counts
        throw error;
      }
      use.made();
      follow(id, one, sandbox);
      log("info", "a sandbox is kept ready", { sandboxID: sandbox.id, environment: warm.environment });
      return sandbox;
    };
    // It must be known here before its making can look for it.
    const one: OwnSandbox = { made: Promise.resolve().then(making), steps, abort, sandbox: null, isEnding: false };
    own.set(id, one);
    void one.made.catch((error) => {
      if (one.sandbox === null) forget(id);
      if (one.isEnding || suspended) return;
      const why = error instanceof Error ? error.message : String(error);
      use.failed(why);
      log("warn", "could not make a sandbox to be kept ready", { environment: warm.environment, reason: why });
      deps.onChange();
    });
  }

  /** One that ends by itself makes room for another; of one that a job has taken, the job finds that out. */
  function follow(id: string, one: OwnSandbox, sandbox: Sandbox): void {
    void sandbox.ended.then((failure) => {
      if (own.get(id) !== one || one.isEnding || suspended) return;
      if (!pool.endWarm(id)) return;
      log("info", "a sandbox that was kept ready has ended", { sandboxID: sandbox.id, reason: failure?.message });
      forget(id);
      deps.onChange();
    });
  }

  function forget(id: string): void {
    own.delete(id);
    try {
      pool.deleteWarm(id, clock.now());
      deps.onForgotten();
    } catch (error) {
      // It stays recorded: garbage collection settles it once this process has ended.
      log("warn", "could not record the end of a sandbox that was kept ready", { id, reason: String(error) });
    }
  }

  function endNow(id: string, one: OwnSandbox, sandbox: Sandbox): void {
    one.isEnding = true;
    const ended = sandbox.terminate().then(
      () => sandbox.ended.then(() => forget(id)),
      (error) => {
        // It stays recorded and has its tag, so that garbage collection ends it once this process has ended.
        log("error", "could not end a sandbox that was kept ready", { sandboxID: sandbox.id, reason: String(error) });
        if (!suspended) clock.after(AGAIN_MS, () => endNow(id, one, sandbox));
      },
    );
    ending.add(ended);
    void ended.finally(() => ending.delete(ended));
  }

  return {
    get: (id) => own.get(id),
    all: () => [...own],
    making: () => [...own.values()].filter(({ sandbox }) => sandbox === null).length,
    make,
    hold(id, found) {
      const one: OwnSandbox = {
        made: found,
        steps: new SharedSteps(),
        abort: new AbortController(),
        sandbox: null,
        isEnding: false,
      };
      own.set(id, one);
      found.then(
        (sandbox) => {
          one.sandbox = sandbox;
          if (one.isEnding) endNow(id, one, sandbox);
        },
        () => forget(id), // where it lives on, garbage collection finds it by its tag
      );
      return one;
    },
    drop: (id) => void own.delete(id),
    end(id) {
      const one = own.get(id);
      if (!one || one.isEnding) return;
      one.isEnding = true;
      one.abort.abort();
      if (one.sandbox) endNow(id, one, one.sandbox);
    },
    forget,
    suspend() {
      suspended = true;
      const makings = [...own.values()].filter(({ sandbox }) => sandbox === null).map(({ made }) => made);
      return Promise.allSettled(makings).then(() => Promise.allSettled(ending));
    },
  };
}
