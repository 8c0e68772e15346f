import { isEnded } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import { labelProblem } from "../../core/snapshot-label.ts";
import { renderWork } from "../../prompt/collected.ts";
import { PluginError } from "../../shared/error-code.ts";
import { oneLine } from "../../shared/plain-text.ts";
import type { LabAnswer, LabRequest } from "../../views/lab-view.ts";
import { cancelJobs } from "../actions/cancel-jobs.ts";
import { collect } from "../actions/collect.ts";
import { messageJob } from "../actions/message-job.ts";
import { snapshotJob } from "../actions/snapshot-job.ts";
import type { Runtime } from "../runtime.ts";
import { findJobs } from "../session/find-jobs.ts";

/** What requests need of the host. */
export interface RequestContext {
  /** Where the host is open, absolute. */
  readonly directory: string;
  /** Paths and patterns of the files that the host is configured to read as instructions. */
  readonly instructions: () => readonly string[];
  /** Aborts when the host lets go of everything. */
  readonly signal: AbortSignal;
}

/** The reason of a cancel, as the job keeps it and its orchestrator is told. */
export const CANCELLED_IN_VIEW = "cancelled by the user, in a view of the jobs";

const QUOTED = 200;
const ANSWER_LIMIT = 8_000;
const OUTPUT_LINES = 200;

/** Does what the user asks for in a view, as the tools do it. Never rejects. */
export async function answerRequest(
  runtime: Runtime,
  context: RequestContext,
  orchestrator: string,
  request: LabRequest,
): Promise<LabAnswer> {
  try {
    const text = await perform(runtime, context, orchestrator, request);
    return { kind: "done", text: text.slice(0, ANSWER_LIMIT) };
  } catch (error) {
    if (error instanceof PluginError) return { kind: "refused", code: error.code, message: error.message };
    runtime.log("error", "could not do what a view asked for", { kind: request.kind, reason: String(error) });
    return { kind: "refused", code: "command_failed", message: `It failed: ${String(error)}` };
  }
}

async function perform(
  runtime: Runtime,
  context: RequestContext,
  orchestrator: string,
  request: LabRequest,
): Promise<string> {
  const sessionJobs = await runtime.sessionJobs(orchestrator);
  const note = (jobID: string, text: string) => sessionJobs.update(jobID, (job) => withNotes(job, [text]));
  switch (request.kind) {
    case "cancel": {
      const open = findJobs(sessionJobs, request.jobs).filter(({ state }) => !isEnded(state));
      const jobs = await cancelJobs(runtime, orchestrator, request.jobs, CANCELLED_IN_VIEW);
      const isOpen = new Set(open.map(({ id }) => id));
      const before = jobs.filter(({ id }) => !isOpen.has(id)).map(({ id, state }) => `${id} (${state.kind})`);
      return [
        ...(open.length > 0 ? [`Cancelled ${open.map(({ id }) => id).join(", ")}.`] : []),
        ...(before.length > 0 ? [`Had ended before: ${before.join(", ")}.`] : []),
      ].join(" ");
    }
    case "message": {
      const { job } = await messageJob(runtime, orchestrator, {
        job: request.job,
        message: request.text,
        interrupt: false,
      });
      note(job.id, `The user sent it a message in a view of the jobs: "${oneLine(request.text, QUOTED)}"`);
      return `The message is queued as the next turn of ${job.id}.`;
    }
    case "snapshot": {
      const { job, label } = request;
      const problem = label === null ? null : labelProblem(label);
      if (problem !== null)
        throw new PluginError("invalid_task", `The label cannot be given: ${problem}.`, { retryable: false });
      const { snapshot, labelOwner } = await snapshotJob(runtime, orchestrator, { job, label, path: null });
      const named = snapshot.label === null ? "" : ` "${snapshot.label}"`;
      const refused = labelOwner === null ? "" : `, without the label "${label}", which is ${labelOwner}'s`;
      note(job, `The user froze its files in a view of the jobs, as ${snapshot.id}${named}.`);
      return [`Snapshot ${snapshot.id}${named} of ${job} is taken${refused}.`, ...snapshot.leftOut].join(" ");
    }
    case "output": {
      const [job] = findJobs(sessionJobs, [request.job]);
      const output = runtime.activity.commandOf(job?.id ?? "")?.tail(OUTPUT_LINES) ?? "";
      return output.slice(-ANSWER_LIMIT);
    }
    case "collect": {
      const { job, mode } = request;
      const work = await collect(runtime, orchestrator, {
        job,
        mode,
        paths: [],
        into: null,
        directory: context.directory,
        instructions: context.instructions(),
        signal: context.signal,
        confirm: async () => {}, // the user asks
      });
      const { title, output } = renderWork(work);
      note(job, `The user collected its work in a view of the jobs: ${oneLine(title, QUOTED)}.`);
      return output;
    }
  }
}
