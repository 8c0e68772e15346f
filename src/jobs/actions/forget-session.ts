import type { JobRunner } from "../execution/job-runner.ts";
import type { Scheduler } from "../execution/scheduler.ts";
import type { Watchdog } from "../execution/watchdog.ts";
import type { SessionProjects } from "../project/session-projects.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { Snapshots } from "../sandbox/snapshots.ts";
import type { SessionOpener } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";

export interface ForgetDeps extends SessionOpener {
  readonly registry: Pick<SessionRegistry, "inUse" | "isDeleted" | "remove">;
  readonly projects: Pick<SessionProjects, "forget">;
  readonly scheduler: Pick<Scheduler, "remove">;
  readonly runner: Pick<JobRunner, "stop">;
  readonly lifecycle: Pick<SandboxLifecycle, "discard">;
  readonly trees: Pick<ProjectTrees, "forgetJob">;
  readonly snapshots: Pick<Snapshots, "removeAll">;
  readonly watchdog: Pick<Watchdog, "forget">;
}

/** Ends the jobs, sandboxes and snapshots of a session that the user deleted, and removes its state. No-op without jobs. */
export async function forgetSession(deps: ForgetDeps, orchestrator: string): Promise<void> {
  const { registry, projects, scheduler, runner, lifecycle, trees, snapshots, watchdog } = deps;
  if (!registry.inUse(orchestrator) && registry.isDeleted(orchestrator)) return;
  const sessionJobs = (await deps.sessionJobs(orchestrator)).whole;
  for (const job of sessionJobs.all()) {
    scheduler.remove(job.id);
    await runner.stop(job.id);
    await lifecycle.discard(sessionJobs, job.id);
    await trees.forgetJob(job);
  }
  await snapshots.removeAll(orchestrator);
  await registry.remove(orchestrator);
  projects.forget(orchestrator);
  watchdog.forget(orchestrator);
}
