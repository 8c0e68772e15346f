import { setupOf } from "../config/environment.ts";
import { isEnded, type Job } from "../core/job.ts";
import type { EnvironmentStatus } from "../jobs/environments/environments.ts";
import type { Runtime } from "../jobs/runtime.ts";

/** The environments as this session's jobs have them. */
export async function listEnvironments(runtime: Runtime): Promise<EnvironmentStatus[]> {
  const { images, trees, providerName, options } = runtime;
  // Only what a set-up has left depends on the project, whose files are looked into at first use.
  const isBuilt = Object.values(options.environments).some((environment) => setupOf(environment).length > 0);
  const store = isBuilt ? await trees.store().catch(() => null) : null; // the jobs' errors say what is wrong with it
  return images.list(providerName, store?.root ?? null);
}

/** The environments whose set-up these new jobs wait for. */
export async function findBuildsFirst(runtime: Runtime, jobs: readonly Job[]): Promise<EnvironmentStatus[]> {
  const isWanted = new Set(
    jobs
      .filter(({ state, task }) => !isEnded(state) && task.snapshotID === null && (task.source ?? null) === null)
      .map(({ task }) => task.environment),
  );
  const wanted = (await listEnvironments(runtime)).filter(({ name }) => isWanted.has(name));
  return wanted.filter(({ commands, record: { image } }) => commands > 0 && image === null);
}
