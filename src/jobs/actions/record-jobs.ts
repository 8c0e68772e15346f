import type { ProviderName } from "../../config/provider-names.ts";
import { decideBudgetAdmission } from "../../core/budget.ts";
import { initialState, type Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import { type NewJob, newJob } from "../../core/new-job.ts";
import type { Clock } from "../../shared/clock.ts";
import type { IdGenerator } from "../../shared/ids.ts";
import type { Scheduler } from "../execution/scheduler.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { SandboxSources } from "../sandbox/sandbox-sources.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

export interface RecordJobsDeps {
  /** Where new jobs run. */
  readonly providerName: ProviderName;
  readonly limits: Pick<Limits, "budget" | "highestRate">;
  readonly trees: Pick<ProjectTrees, "capture">;
  readonly sources: Pick<SandboxSources, "freeze">;
  readonly scheduler: Pick<Scheduler, "enqueue">;
  readonly clock: Clock;
  readonly ids: IdGenerator;
}

/**
 * Records jobs in this order, in one transaction, and queues those that can start. Waits only for the store.
 * @param sessionJobs the whole session's
 */
export function recordJobs(deps: RecordJobsDeps, sessionJobs: SessionJobs, wanted: readonly NewJob[]): Job[] {
  const { orchestrator } = sessionJobs;
  const { limits, providerName: provider, scheduler } = deps;
  const now = deps.clock.now();
  const first = sessionJobs.nextPosition();
  const others = sessionJobs.all();
  const accounts = sessionJobs.accounts();
  const jobs = wanted.map((one, index): Job => {
    const job = newJob(one, { id: deps.ids("job"), orchestrator, position: first + index, provider, now });
    if (one.failure) return job;
    // A job that can never fit the budget fails now; once the budget is raised, a message wakes it. Others wait.
    const money = decideBudgetAdmission(job, limits.highestRate(job), others, limits.budget, now, accounts);
    return money.kind === "refuse" ? { ...job, state: initialState(money.failure, now) } : job;
  });
  sessionJobs.add(jobs.map((job) => ({ job, prompt: job.task.run ? null : job.task.prompt })));
  deps.trees.capture(sessionJobs, jobs);
  deps.sources.freeze(sessionJobs, jobs);
  for (const job of jobs) if (job.state.kind === "queued") scheduler.enqueue(sessionJobs, job.id);
  return jobs;
}
