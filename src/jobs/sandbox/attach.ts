import type { Environment } from "../../config/environment.ts";
import type { Job } from "../../core/job.ts";
import { toSandboxEnv } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";

export interface AttachDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

const RETRY_DELAYS_MS = [2_000, 10_000];

/**
 * The sandbox that the job is recorded to have; null when it has none, or the sandbox is lost.
 * @param devices GPUs of this machine that it is given
 * @throws PluginError `sandbox_lost`, retryable, when it may still be live: a second one must not be made beside it
 */
export async function attachSandbox(
  { environments, hostEnv, clock }: AttachDeps,
  provider: SandboxProvider,
  job: Job,
  devices: readonly string[] = [],
): Promise<Sandbox | null> {
  if (job.sandbox.kind !== "live") return null;
  const environment = environments[job.task.environment];
  for (let attempt = 0; ; attempt++) {
    try {
      const env = environment ? toSandboxEnv(environment, hostEnv) : {};
      return await provider.attach(job.sandbox.id, env, devices);
    } catch (error) {
      if (!(error instanceof PluginError) || error.code !== "sandbox_lost") throw error;
      if (error.retryable === false) return null;
      const delayMs = RETRY_DELAYS_MS[attempt];
      if (delayMs === undefined) throw error;
      await sleep(clock, delayMs);
    }
  }
}
