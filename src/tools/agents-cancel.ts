import { z } from "zod";
import { cancelJobs } from "../jobs/cancel-jobs.ts";
import { defineTool, type ToolHost } from "./define-tool.ts";
import { AGENTS_CANCEL } from "./descriptions.ts";
import { viewJobs } from "./job-views.ts";
import { renderCounts, renderJobLine } from "./render-jobs.ts";

export const agentsCancelTool = (host: ToolHost) =>
  defineTool({
    name: "agents_cancel",
    description: AGENTS_CANCEL,
    args: {
      jobs: z.array(z.string()).min(1, "name at least one job").describe("Job ids."),
      reason: z.string().max(500).optional().describe("Kept with the jobs."),
    },
    async run({ jobs: ids, reason }, { sessionID }) {
      const lab = await host.lab();
      const jobs = viewJobs(lab, await cancelJobs(lab, sessionID, ids, reason ?? null));
      return { title: renderCounts(jobs), output: jobs.map(renderJobLine).join("\n"), metadata: { jobs } };
    },
  });
