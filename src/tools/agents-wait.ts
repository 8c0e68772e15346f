import { z } from "zod";
import type { Job } from "../jobs/job.ts";
import { waitForJobs } from "../jobs/wait-for-jobs.ts";
import { defineTool, type ToolHost } from "./define-tool.ts";
import { AGENTS_WAIT } from "./descriptions.ts";
import { viewJobs } from "./job-views.ts";
import { renderBoard, renderCounts, renderJobLine, renderResults } from "./render-jobs.ts";

const LONGEST_SECONDS = 14_400;

export const agentsWaitTool = (host: ToolHost) =>
  defineTool({
    name: "agents_wait",
    description: AGENTS_WAIT,
    args: {
      jobs: z.array(z.string()).optional().describe("Job ids; all of this session's when left out."),
      until: z
        .union([z.enum(["all", "any"]), z.number().int().min(1)], { error: '"all", "any" or a whole number from 1' })
        .default("all")
        .describe('How many of them must have ended: "all" (default), "any", or a number.'),
      timeout_seconds: z
        .number()
        .positive()
        .max(LONGEST_SECONDS)
        .default(1800)
        .describe("Longest wait, seconds (default 1800, at most 14400). The jobs go on after it."),
    },
    async run({ jobs, until, timeout_seconds }, context) {
      const lab = await host.lab();
      const progress = host.progress(context);
      const show = (now: readonly Job[]) => {
        const views = viewJobs(lab, now);
        const title = renderCounts(views);
        progress.show({ title, text: `${title}\n${renderBoard(views)}`, metadata: { jobs: views } });
      };
      try {
        const result = await waitForJobs(lab, context.sessionID, {
          jobs,
          until,
          timeoutMs: timeout_seconds * 1000,
          signal: context.abort,
          onProgress: show,
        });
        const finished = viewJobs(lab, result.finished);
        const pending = viewJobs(lab, result.pending);
        return {
          title: renderCounts([...finished, ...pending]),
          output: [OPENINGS[result.reason], renderResults(finished), ...renderPending(pending)]
            .filter((part) => part !== "")
            .join("\n"),
          metadata: { reason: result.reason, finished, pending },
        };
      } finally {
        await progress.stop();
      }
    },
  });

const OPENINGS = {
  satisfied: "",
  timeout: "The wait timed out; the jobs go on. Call agents_wait again, or look with agents_status.",
  interrupted: "The wait was stopped; the jobs go on.",
  attention:
    "Some jobs were interrupted and will not end by themselves: wake them with agents_message, or cancel them.",
} as const;

function renderPending(pending: Parameters<typeof renderCounts>[0]): string[] {
  return pending.length === 0 ? [] : ["Not ended yet:", ...pending.map(renderJobLine)];
}
