import { z } from "zod";
import { isEnded } from "../core/job.ts";
import { messageJob } from "../jobs/actions/message-job.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { renderDrift } from "../prompt/job-list.ts";
import { renderOverview } from "../prompt/job-overview.ts";
import { toMarkdown } from "../prompt/quoted-text.ts";
import { AGENTS_MESSAGE } from "../prompt/tool-descriptions.ts";
import { oneLine } from "../shared/plain-text.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { viewJobs } from "./job-views.ts";
import { requirePermission, showWhileAsking } from "./permission.ts";
import type { ToolCall } from "./tool.ts";

export const agentsMessageTool = (deps: ToolDeps) =>
  defineTool({
    name: "agents_message",
    description: AGENTS_MESSAGE,
    args: {
      job: z.string().describe("Job id."),
      message: z.string().trim().min(1, "the message is empty").max(1_000_000).describe("Its next prompt."),
      interrupt: z.boolean().default(false).describe("Stop its current turn first."),
      update: z
        .boolean()
        .default(false)
        .describe(
          "Bring its files up to date with the project first: its changes are rebased, and it is told of conflicts.",
        ),
    },
    async run(request, call) {
      const { sessionID } = call;
      const runtime = await deps.runtime();
      await askToSend(runtime, request, call);
      const { job, drift } = await messageJob(runtime, sessionID, request);
      const jobs = viewJobs(runtime, [job]);
      return {
        title: `message to ${request.job}`,
        output: [
          "The message is queued as the job's next turn. Wait for its answer with agents_wait.",
          ...renderOverview(jobs),
          ...renderDrift(drift, request.update),
        ].join("\n"),
        metadata: { jobs, drift: drift?.changed ?? [] },
      };
    },
  });

/** The host's question names the job's id only, so what is sent to whom, and on which GPU that job runs, is shown before. */
async function askToSend(
  runtime: Runtime,
  { job, message }: { readonly job: string; readonly message: string },
  call: ToolCall,
): Promise<void> {
  const known = (await runtime.sessionJobs(call.sessionID)).get(job);
  const gpu = known?.gpu ?? known?.task.gpu ?? null;
  const on =
    gpu === null
      ? ""
      : known && isEnded(known.state)
        ? `, which wakes it on GPU ${toMarkdown(gpu)}`
        : ` on GPU ${toMarkdown(gpu)}`;
  const title = `Wants to send a message to ${oneLine(known?.task.description ?? job, 80)}`;
  const text = `Wants to send a message to **${toMarkdown(known?.task.description ?? job, 80)}**${on}: ${toMarkdown(message, 300)}`;
  await showWhileAsking(runtime.clock, call, { title, text, metadata: {} }, () =>
    requirePermission(call, "agents_message", [job]),
  );
}
