import { setupOf } from "../../config/environment.ts";
import {
  afterBuild,
  BUILD_RENEW_MS,
  type EnvironmentBuild,
  type EnvironmentImage,
  type EnvironmentRecord,
} from "../../core/environment-image.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import { type CreationStep, SharedSteps, type StepListener } from "../../sandboxes/creation-steps.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { type BuildImageDeps, type BuiltImage, buildImage, type ImageRequest } from "./build-image.ts";
import { createGivenBack } from "./given-back.ts";
import { tryAgain } from "./try-again.ts";

/** A build of this process. Several jobs may wait for it; once none does that had to, it is given up. */
export interface RunningBuild {
  readonly id: string;
  /** null = another process took it over, or it ended with this one. Rejects with why the build failed. */
  readonly made: Promise<EnvironmentImage | null>;
  /** Waits for it. Of those who wait, the first pays. @throws PluginError what the build throws, `cancelled` */
  wait(signal: AbortSignal, onStep: StepListener | undefined, charge: Charge): Promise<EnvironmentImage | null>;
  /** Resolves when it and its sandboxes have come to rest. */
  settled(): Promise<unknown>;
}

export interface RunningBuildDeps extends BuildImageDeps {
  readonly pool: PoolStore;
  readonly log: Log;
  readonly ending: AbortSignal;
  readonly removeImage: (image: Pick<EnvironmentImage, "snapshotID" | "provider">) => Promise<unknown>;
}

/** Adds what a sandbox costs that exists for so long to what somebody has spent. @returns USD */
type Charge = (ms: number) => number;

type BuildRequest = Omit<ImageRequest, "signal" | "onStep" | "onSandbox"> & {
  /** Of whoever began it, who pays while nobody waits. */
  readonly charge: Charge;
  /** What it adds for an hour. */
  readonly usdPerHour: number;
};

export function createRunningBuild(deps: RunningBuildDeps, request: BuildRequest, id: string): RunningBuild {
  const { pool, clock, log, ending } = deps;
  const { key, name } = request;
  const steps = new SharedSteps();
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, ending]);
  const givenBack = createGivenBack(deps);
  const waiting = new Set<Charge>();

  /** Changes the record while it is of this build. @returns whether it is */
  function change(to: Partial<EnvironmentBuild>): boolean {
    return pool.changeEnvironment(key, (record) => {
      const isOurs = record.build?.id === id;
      return {
        record: isOurs && record.build ? { ...record, build: { ...record.build, ...to } } : record,
        result: isOurs,
      };
    });
  }

  /** Failures of the shared state must not end a build: what is not recorded is recorded by the next renewal, or done again. */
  function changeOrLog(to: Partial<EnvironmentBuild>): void {
    try {
      if (!change(to)) stop.abort(); // another process took it for dead, such as after a sleep of this machine
    } catch (error) {
      log("warn", "could not record the build of an environment", { environment: name, reason: String(error) });
    }
  }

  const beginning: CreationStep = {
    kind: "setup",
    ...{
      since: clock.now(),
      environment: name,
      step: 0,
      of: setupOf(request.environment).length,
      command: "",
      line: null,
    },
  };
  steps.tell(beginning);

  const onStep = (step: CreationStep) => {
    // Of its sandbox, what is short is no news: jobs wait for the commands.
    steps.tell(step.kind === "booting" || step.kind === "turn" ? beginning : step);
    if (step.kind === "setup" && step.line === null) changeOrLog({ step: step.step, command: step.command });
  };

  /** One try, in a sandbox of its own. */
  async function attempt(money: { usd: number }): Promise<BuiltImage> {
    const current: { sandbox: Sandbox | null; since: number } = { sandbox: null, since: 0 };
    const charge = (ms: number) => {
      const [pay = request.charge] = waiting;
      money.usd += pay(ms);
    };
    /** If this process is killed, whoever ends the sandbox charges the rest. */
    const recordCost = () => {
      const { sandbox, since } = current;
      try {
        if (sandbox) pool.saveSandboxCost(sandbox.id, { usdPerHour: request.usdPerHour, chargedTo: since });
      } catch (error) {
        log("warn", "could not record what a build costs", { environment: name, reason: String(error) });
      }
    };
    let cancel = () => {};
    const renew = () => {
      cancel = clock.after(BUILD_RENEW_MS, () => {
        if (signal.aborted) return;
        changeOrLog({ renewedAt: clock.now() });
        const now = clock.now();
        try {
          if (current.sandbox) charge(now - current.since);
          current.since = now;
          recordCost();
        } catch (error) {
          log("warn", "could not charge a build", { environment: name, reason: String(error) }); // it is charged next time
        }
        renew();
      });
    };
    renew();
    changeOrLog({ sandboxID: null }); // its creation begins: until it is named, garbage collection spares every one of this build
    const kill = () => void current.sandbox?.terminate().catch(() => {}); // what is under way in it then fails
    signal.addEventListener("abort", kill);
    try {
      const onSandbox = (sandbox: Sandbox, since: number) => {
        Object.assign(current, { sandbox, since });
        recordCost();
        changeOrLog({ sandboxID: sandbox.id });
        if (signal.aborted) kill();
      };
      return await buildImage(deps, { ...request, signal, onStep, onSandbox });
    } finally {
      cancel();
      signal.removeEventListener("abort", kill);
      if (current.sandbox) givenBack.give(current.sandbox, request.job.id, charge, current.since);
    }
  }

  async function build(): Promise<EnvironmentImage | null> {
    const since = clock.now();
    const money = { usd: 0 };
    try {
      const doing = `building environment ${name}`;
      const { sandboxID, ...made } = await tryAgain({ clock, log, ending: signal }, doing, () => attempt(money));
      const image = { ...made, tookMs: clock.now() - since, usd: money.usd };
      const before = record({ image }, () =>
        pool.saveLineage({ id: image.snapshotID, provider: image.provider }, sandboxID, image.expiresAt),
      );
      if (before === null) {
        await deps.removeImage(image).catch(logRemoval);
        return null;
      }
      log("info", "an environment was built", { environment: name, snapshotID: image.snapshotID });
      if (before.former) await deps.removeImage(before.former).catch(logRemoval);
      return image;
    } catch (error) {
      if (signal.aborted) {
        record(null);
        return null;
      }
      const { code, message } = toFailure(error, "setup_failed", `build environment ${name}`);
      const failure = { code, message, retryable: false };
      if (record({ failed: { at: clock.now(), failure } }) === null) return null;
      log("warn", "an environment could not be built", { environment: name, reason: message });
      throw error;
    }
  }

  /** Records how it ended. @returns the record before; null = it is not of this build any more, or could not be written */
  function record(result: Parameters<typeof afterBuild>[2], also = () => {}): EnvironmentRecord | null {
    try {
      return pool.changeEnvironment(key, (before) => {
        const after = afterBuild(before, id, result);
        if (after !== null) also();
        return { record: after ?? before, result: after === null ? null : before };
      });
    } catch (error) {
      log("warn", "could not record the end of an environment's build", { environment: name, reason: String(error) });
      return null;
    }
  }

  const logRemoval = (error: unknown) =>
    log("warn", "could not remove an environment's former image", { environment: name, reason: String(error) });

  const made = build();
  made.catch(() => {}); // of one in the background the record tells
  return {
    id,
    made,
    async wait(ofJob, listener, charge) {
      waiting.add(charge);
      try {
        return await unlessAborted(steps.follow(made, listener), ofJob, `environment ${name} was built`);
      } catch (error) {
        if (error instanceof PluginError && error.code === "cancelled" && waiting.size === 1) stop.abort();
        throw error;
      } finally {
        waiting.delete(charge);
      }
    },
    settled: () => made.then(givenBack.settled, givenBack.settled),
  };
}
