import { z } from "zod";
import { findJobs } from "../jobs/find-jobs.ts";
import { isEnded } from "../jobs/job.ts";
import { toSnapshotView } from "../views/job-view.ts";
import { callOf, defineTool, type ToolHost } from "./define-tool.ts";
import { AGENTS_STATUS } from "./descriptions.ts";
import { viewJobs, viewRecords } from "./job-views.ts";
import { renderCounts, renderGpus, renderJobLine, renderResults } from "./render-jobs.ts";

export const agentsStatusTool = (host: ToolHost) =>
  defineTool({
    name: "agents_status",
    description: AGENTS_STATUS,
    args: { jobs: z.array(z.string()).optional().describe("Job ids; all of this session's when left out.") },
    async run({ jobs: ids }, context) {
      const { sessionID } = context;
      const lab = await host.lab();
      const book = await lab.book(sessionID);
      const found = findJobs(book, ids);
      const ended = found.filter(({ state }) => isEnded(state)).map(({ id }) => id);
      const news = await lab.outbox.claim(sessionID, ended, callOf(context));
      const jobs = viewJobs(lab, found);
      const snapshots = lab.snapshots.list(sessionID).map(toSnapshotView);
      const { running, queued, gpus } = lab.scheduler.counts();
      const pool = { running, queued, limit: lab.options.maxRunningJobs, gpus };
      const all = viewJobs(lab, book.jobs());
      const modelUsd = all.reduce((sum, job) => sum + job.usd.model, 0);
      const computeUsd = all.reduce((sum, job) => sum + job.usd.compute, 0);
      const spend = { usd: modelUsd + computeUsd, modelUsd, computeUsd, budgetUsd: null };
      const lines = [
        jobs.length === 0 ? "This session has started no jobs." : `${renderCounts(jobs)}:`,
        ...jobs.map(renderJobLine),
        ...snapshots.map((one) => `snapshot ${one.id}${one.label ? ` "${one.label}"` : ""} of ${one.job}`),
        `Jobs run ${lab.providerName === "modal" ? "on Modal; what its sandboxes cost is not counted yet" : "in local sandboxes"}.`,
        renderResults(viewRecords(news)),
        `Pool: ${running} of ${pool.limit} slots in use, ${queued} queued.${renderGpus(gpus)} Spent: $${spend.usd.toFixed(4)}.`,
      ];
      return {
        title: renderCounts(jobs),
        output: lines.filter((line) => line !== "").join("\n"),
        metadata: { jobs, pool, spend, snapshots },
      };
    },
  });
