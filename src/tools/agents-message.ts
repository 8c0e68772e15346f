import { z } from "zod";
import { messageJob } from "../jobs/actions/message-job.ts";
import { renderDrift } from "../prompt/job-list.ts";
import { renderOverview } from "../prompt/job-overview.ts";

import { AGENTS_MESSAGE } from "../prompt/tool-descriptions.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { viewJobs } from "./job-views.ts";

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
    asks: ({ job }) => [job],
    async run(request, { sessionID }) {
      const runtime = await deps.runtime();
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
