import type { Job } from "../core/job.ts";
import type { WaitDeps } from "../jobs/actions/wait-for-jobs.ts";
import type { Runtime } from "../jobs/runtime.ts";
import type { SessionJobs } from "../jobs/session/session-jobs.ts";
import { PluginError } from "../shared/error-code.ts";
import { forbiddenTool } from "./find-worker.ts";
import type { ToolCall } from "./tool.ts";
import { untilSandbox } from "./until-sandbox.ts";

/** Who makes a call that is about jobs. */
export interface Caller {
  /** The jobs as the caller sees them: inside a job only the runs that it started. */
  readonly sessionJobs: SessionJobs;
  /** The job in whose session the call is made; null = it is an orchestrator's. */
  readonly job: Job | null;
}

/**
 * A job's session never counts as an orchestrator's, whatever becomes of its job.
 * @throws PluginError `not_found` inside a job that does not run here, or that may not start runs
 */
export async function findCaller(runtime: Runtime, call: ToolCall, tool: string): Promise<Caller> {
  const mark = await call.job();
  if (!mark) return { sessionJobs: await runtime.sessionJobs(call.sessionID), job: null };
  const worker = runtime.worker(call.sessionID);
  const begun = worker?.sessionJobs.get(worker.jobID);
  if (begun) await untilSandbox(runtime, begun, call); // runs start from its files
  const job = worker?.sessionJobs.get(worker.jobID);
  const refuse = (message: string) => new PluginError("not_found", message, { retryable: false });
  if (!worker || job?.state.kind !== "running")
    throw refuse(`${mark.job} does not run now, so ${tool} cannot be used in its session.`);
  if (runtime.options.nesting === "none")
    throw refuse(`This job has no ${tool}: the user's options forbid jobs to start runs (nesting).`);
  if (job.task.forbidden.includes(tool)) throw forbiddenTool(tool);
  const whole = worker.sessionJobs.whole;
  const isOwn = ({ startedBy }: Job) => startedBy === job.id;
  const sessionJobs: SessionJobs = {
    ...whole,
    whole,
    all: () => whole.all().filter(isOwn),
    get(jobID) {
      const found = whole.get(jobID);
      return found && isOwn(found) ? found : undefined;
    },
  };
  return { sessionJobs, job };
}

/** What a wait listens to. The warning of the session's budget is for its orchestrator, not for a job. */
export const waitDepsOf = (runtime: Runtime, { sessionJobs, job }: Caller): WaitDeps =>
  job === null
    ? runtime
    : {
        ...runtime,
        sessionJobs: async () => sessionJobs,
        watchdog: { takeWarning: () => null, onBudgetWarning: () => () => {} },
      };
