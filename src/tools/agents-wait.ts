import { z } from "zod";
import { waitForJobs } from "../jobs/actions/wait-for-jobs.ts";
import type { Spend } from "../jobs/core/budget.ts";
import type { Job } from "../jobs/core/job.ts";
import { findJobs } from "../jobs/session/find-jobs.ts";
import {
  renderBoard,
  renderCounts,
  renderJobLine,
  renderQuoteNote,
  renderResults,
  renderSpend,
} from "../prompt/job-list.ts";
import { viewRecords } from "../views/job-view.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { AGENTS_WAIT } from "./descriptions.ts";
import { viewJobs } from "./job-views.ts";

const LONGEST_SECONDS = 14_400;

export const agentsWaitTool = (deps: ToolDeps) =>
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
    asks: ({ jobs = [] }) => jobs,
    async run({ jobs, until, timeout_seconds }, call) {
      const runtime = await deps.runtime();
      const ids = findJobs(await runtime.sessionJobs(call.sessionID), jobs).map(({ id }) => id);
      const release = runtime.outbox.hold(call.sessionID, ids); // what ends now is told by this call
      const progress = call.progress();
      const show = (now: readonly Job[]) => {
        const views = viewJobs(runtime, now);
        const title = renderCounts(views);
        progress.show({ title, text: `${title}\n${renderBoard(views)}`, metadata: { jobs: views } });
      };
      try {
        const result = await waitForJobs(runtime, call.sessionID, {
          jobs: ids,
          until,
          timeoutMs: timeout_seconds * 1000,
          signal: call.abort,
          onProgress: show,
        });
        const finished = viewJobs(runtime, result.finished);
        const pending = viewJobs(runtime, result.pending);
        // The answer to a call that the user stopped reaches nobody.
        const isHeard = result.reason !== "interrupted";
        const endedIDs = finished.map(({ id }) => id);
        const news = isHeard ? await runtime.outbox.claim(call.sessionID, endedIDs, call) : [];
        const newIDs = new Set(news.map(({ id }) => id));
        const known = finished.filter(({ id }) => !newIDs.has(id));
        return {
          title: renderCounts([...finished, ...pending]),
          // Whoever names a job asks for its result, told before or not.
          output: [
            result.lowBudget
              ? renderLow(result.lowBudget, runtime.options.budget.usdPerSession)
              : OPENINGS[result.reason],
            renderResults([...viewRecords(news), ...(jobs === undefined ? [] : known)], runtime.ids),
            ...(jobs === undefined ? renderList("Ended, and told before:", known) : []),
            ...renderList("Not ended yet:", pending),
            ...renderQuoteNote([...(jobs === undefined ? known : []), ...pending]),
          ]
            .filter((part) => part !== "")
            .join("\n"),
          metadata: { reason: result.reason, finished, pending },
        };
      } finally {
        release();
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

const renderLow = (spend: Spend, budgetUsd: number | null): string =>
  `${renderSpend({ ...spend, budgetUsd })} At the ceiling new jobs are refused and running ones stopped, their files kept: cancel what is not worth its cost, then call agents_wait again.`;

function renderList(heading: string, jobs: Parameters<typeof renderCounts>[0]): string[] {
  return jobs.length === 0 ? [] : [heading, ...jobs.map(renderJobLine)];
}
