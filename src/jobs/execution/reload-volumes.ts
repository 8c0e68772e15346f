import type { Environment } from "../../config/environment.ts";
import type { Job } from "../../core/job.ts";
import { renderVolumesBusy, renderVolumesStale } from "../../prompt/turn-text.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";

export interface ReloadVolumesDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly log: Log;
}

/**
 * Has the job's volumes show, before a turn, what others have committed to them. A volume that cannot be reloaded does not
 * end the job, which then sees the earlier state.
 * @returns what its agent is told before its prompt; "" for nothing
 * @throws PluginError `sandbox_lost` when the sandbox no longer exists
 */
export async function reloadVolumes(
  { environments, log }: ReloadVolumesDeps,
  job: Job,
  { reloadVolumes: reload }: Pick<Sandbox, "reloadVolumes">,
): Promise<string> {
  const paths = Object.keys(environments[job.task.environment]?.volumes ?? {});
  if (reload === null || paths.length === 0) return "";
  try {
    const done = await reload();
    return done.kind === "reloaded" ? "" : `${renderVolumesBusy(paths, done.why)}\n\n`;
  } catch (error) {
    if (error instanceof PluginError && error.code === "sandbox_lost" && error.retryable === false) throw error;
    const problem = error instanceof Error ? error.message : String(error);
    log("warn", "could not reload a job's volumes", { jobID: job.id, reason: problem });
    return `${renderVolumesStale(paths, problem)}\n\n`;
  }
}
