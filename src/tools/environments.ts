import { isEnded, type Job } from "../core/job.ts";
import type { EnvironmentStatus } from "../jobs/environments/environments.ts";
import type { Runtime } from "../jobs/runtime.ts";

/** The environments as this session's jobs have them. */
export async function listEnvironments({ images, trees, providerName }: Runtime): Promise<EnvironmentStatus[]> {
  const store = await trees.store().catch(() => null); // the jobs' errors say what is wrong with the project
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
