import { posix } from "node:path";
import { isHeld, type Job } from "../core/job.ts";
import { isDenied } from "../core/subject-rules.ts";
import type { WorkerContext } from "../jobs/execution/workers.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { requireJob } from "../jobs/session/session-jobs.ts";
import { fullPath } from "../sandboxes/meant-path.ts";
import { FileError, type Place, type Sandbox } from "../sandboxes/port.ts";
import { sleep } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { plainName } from "../shared/plain-text.ts";
import type { ToolDeps } from "./define-tool.ts";
import type { ToolCall } from "./tool.ts";
import { untilSandbox } from "./until-sandbox.ts";

/** A job's session hides forbidden tools already; this refusal holds even when its rules were changed. */
export const forbiddenTool = (tool: string): PluginError =>
  new PluginError("not_found", `This job has no ${tool}: the user's permissions forbid it.`, { retryable: false });

/** Longest time in which the turn of a job whose sandbox was lost is stopped. Until then its model is not to go on without one. */
export const LOSS_MS = 5_000;

export interface FoundJob extends WorkerContext {
  readonly runtime: Runtime;
  readonly job: Job;
}

export interface FoundWorker extends FoundJob {
  /** Whether the call has shown that it waited for the sandbox. */
  readonly hasWaited: boolean;
  readonly sandbox: Sandbox;
}

/**
 * The job in whose session a tool is called.
 * @throws PluginError `not_found` for a session without a job, and where the user's permissions forbid the tool
 */
export async function findOwnJob(deps: ToolDeps, sessionID: string, tool: string): Promise<FoundJob> {
  const runtime = await deps.runtime();
  const worker = runtime.worker(sessionID);
  const job = worker?.sessionJobs.get(worker.jobID);
  if (!worker || !job) {
    const message = `${tool} works only inside a job started with agents_start; this session is not one.`;
    throw new PluginError("not_found", message, { retryable: false });
  }
  if (job.task.forbidden.includes(tool)) throw forbiddenTool(tool);
  return { ...worker, runtime, job };
}

/**
 * Fourth layer of isolation: a job's tools reach the sandbox of the calling session's own job and nothing else. One that is
 * being made is waited for.
 * @param path of the file that the tool is used on
 * @throws PluginError `not_found` for a session without a running job; there is no fallback. What making the sandbox throws
 * @throws FileError `permission_denied` where the user's rules deny the tool that file
 */
export async function findWorker(deps: ToolDeps, call: ToolCall, tool: string, path?: string): Promise<FoundWorker> {
  const found = await findOwnJob(deps, call.sessionID, tool);
  const { runtime, sessionJobs, jobID } = found;
  const hasWaited = await untilSandbox(runtime, found.job, call);
  const job = hasWaited ? requireJob(sessionJobs, jobID) : found.job;
  const sandbox = isHeld(job.state) ? runtime.lifecycle.live(job.id) : null;
  if (!sandbox && job.state.kind === "running") {
    await sleep(runtime.clock, LOSS_MS);
    const message = `The sandbox of ${job.id} was lost; the job goes on in a new one, where its turn is taken up again.`;
    throw new PluginError("sandbox_lost", message, { retryable: true });
  }
  if (!sandbox) {
    const message = `${job.id} is ${job.state.kind} and has no live sandbox; its orchestrator wakes it with agents_message.`;
    throw new PluginError("not_found", message, { retryable: false });
  }
  if (path !== undefined) refuseDenied(job, tool, path, sandbox);
  return { ...found, job, sandbox, hasWaited };
}

/** @throws FileError `permission_denied` where the user's rules deny the tool that file */
export function refuseDenied({ task }: Job, tool: string, path: string, place: Place): void {
  if (!isDenied(task.rules, tool, toSubject(path, place))) return;
  throw new FileError("permission_denied", `The user's permissions deny ${tool} the file ${plainName(path)}.`);
}

/** A path as rules name it: relative to the working directory where it lies there. */
function toSubject(path: string, place: Place): string {
  const full = fullPath(path, place);
  const inside = posix.relative(place.workdir, full);
  return inside.startsWith("../") ? full : inside;
}
