import { z } from "zod";
import { cancelJobs } from "../jobs/actions/cancel-jobs.ts";
import { renderEnds } from "../prompt/ends.ts";
import { renderCounts } from "../prompt/job-list.ts";
import { renderOverview } from "../prompt/job-overview.ts";
import { AGENTS_CANCEL } from "../prompt/tool-descriptions.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { toMetadata, viewJobs } from "./job-views.ts";

export const agentsCancelTool = (deps: ToolDeps) =>
  defineTool({
    name: "agents_cancel",
    description: AGENTS_CANCEL,
    args: {
      jobs: z.array(z.string()).min(1, "name at least one job").describe("Job ids."),
      reason: z.string().max(500).optional().describe("Kept with the jobs."),
    },
    asks: ({ jobs }) => jobs,
    async run({ jobs: ids, reason }, call) {
      const { sessionID } = call;
      const runtime = await deps.runtime();
      const release = runtime.outbox.hold(sessionID, ids); // this call tells what the jobs had said
      try {
        const jobs = viewJobs(runtime, await cancelJobs(runtime, sessionID, ids, reason ?? null));
        const news = await runtime.outbox.claim(sessionID, ids, call, null);
        const results = news.filter(
          ({ state, answers }) => state.kind !== "cancelled" || state.result !== undefined || answers.length > 0,
        );
        const lines = renderOverview(jobs);
        const told = renderEnds(results, runtime.ids, { beside: lines });
        const output = [...lines, ...(told === "" ? [] : [told])].join("\n");
        return { title: renderCounts(jobs), output, metadata: { jobs: toMetadata(jobs) } };
      } finally {
        release();
      }
    },
  });
