import type { Environment } from "../config/environment.ts";
import { gpusOf } from "../config/gpu.ts";
import type { Job } from "./job.ts";
import { BARE_TASK } from "./job-task.ts";
import { newJob } from "./new-job.ts";

/** A job that asks for nothing but its environment: sandboxes are kept ready for those that need no more. Never recorded. */
export const plainJob = (
  environment: string,
  { gpu }: Pick<Environment, "gpu">,
  { id, orchestrator, provider, now }: Pick<Job, "id" | "orchestrator" | "provider"> & { readonly now: number },
): Job =>
  newJob(
    { task: { ...BARE_TASK, description: "", environment, gpu, run: null }, failure: null, origin: null },
    { id, orchestrator, position: 0, provider, now },
  );

/** Whether the sandbox that a job gets next may be one that was made before there was the job. */
export function mayHaveWarm(
  { task, sandbox, turns }: Pick<Job, "task" | "sandbox" | "turns">,
  environment: Pick<Environment, "gpu">,
): boolean {
  const isFirst = sandbox.kind === "none" || sandbox.kind === "creating" || (sandbox.kind === "gone" && turns === 0);
  if (!isFirst) return false; // it goes on with its own files
  if (task.snapshotID !== null || task.source !== undefined || task.run?.measures) return false;
  return JSON.stringify(gpusOf(task.gpu)) === JSON.stringify(gpusOf(environment.gpu));
}
