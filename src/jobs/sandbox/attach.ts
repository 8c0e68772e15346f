import type { Environment } from "../../config/environment.ts";
import type { Job } from "../../core/job.ts";
import { toSandboxEnv } from "../../sandboxes/environment.ts";
import type { Sandbox, SandboxProvider } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";

export interface AttachDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly hostEnv: Readonly<Record<string, string | undefined>>;
}

/** The sandbox that the job is recorded to have; null when it has none, or the sandbox is lost. @throws PluginError */
export async function attachSandbox(
  { environments, hostEnv }: AttachDeps,
  provider: SandboxProvider,
  job: Job,
): Promise<Sandbox | null> {
  if (job.sandbox.kind !== "live") return null;
  const environment = environments[job.task.environment];
  try {
    return await provider.attach(job.sandbox.id, environment ? toSandboxEnv(environment, hostEnv) : {});
  } catch (error) {
    if (error instanceof PluginError && error.code === "sandbox_lost") return null;
    throw error;
  }
}
