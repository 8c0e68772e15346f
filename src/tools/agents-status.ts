import { z } from "zod";
import { MODAL_PRICES_AS_OF } from "../config/prices.ts";
import { findJobs } from "../jobs/session/find-jobs.ts";
import { isEnded } from "../jobs/core/job.ts";
import type { Lab } from "../jobs/runtime.ts";
import { spendOf } from "../jobs/core/budget.ts";
import type { LentPaths } from "../sandboxes/port.ts";
import { toSnapshotView } from "../views/job-view.ts";
import { placeOf } from "../views/place.ts";
import { callOf, defineTool, type ToolHost } from "./define-tool.ts";
import { AGENTS_STATUS } from "./descriptions.ts";
import { viewJobs, viewRecords } from "./job-views.ts";
import { renderCounts, renderGpus, renderJobLines, renderResults, renderSpend } from "./render-jobs.ts";
import { renderLent } from "./render-lent.ts";

export const agentsStatusTool = (host: ToolHost) =>
  defineTool({
    name: "agents_status",
    description: AGENTS_STATUS,
    args: { jobs: z.array(z.string()).optional().describe("Job ids; all of this session's when left out.") },
    asks: ({ jobs = [] }) => jobs,
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
      const spend = {
        ...spendOf(book.jobs(), lab.clock.now()),
        budgetUsd: lab.options.budget.usdPerSession,
      };
      const { lent, refused } = await lentBy(lab);
      const lines = [
        jobs.length === 0 ? "This session has started no jobs." : `${renderCounts(jobs)}:`,
        ...renderJobLines(jobs),
        ...snapshots.map((one) => `snapshot ${one.id}${one.label ? ` "${one.label}"` : ""} of ${one.job}`),
        `Jobs run ${placeOf(lab.providerName, lab.options.local)}${lab.providerName === "modal" ? `; what its sandboxes cost is estimated from ${MODAL_PRICES_AS_OF}` : ""}.`,
        renderLent({ lent, refused }),
        ...lab.notices(sessionID),
        renderResults(viewRecords(news), lab.ids),
        `Pool: ${running} of ${pool.limit} slots in use, ${queued} queued.${renderGpus(gpus)} ${renderSpend(spend)}`,
      ];
      return {
        title: renderCounts(jobs),
        output: lines.filter((line) => line !== "").join("\n"),
        metadata: { jobs, pool, spend, snapshots, lent },
      };
    },
  });

/** Nothing where sandboxes are not local, or where none can be made: a job says why. */
async function lentBy(lab: Lab): Promise<LentPaths> {
  const nothing = { lent: [], refused: [] };
  if (lab.providerName !== "local") return nothing;
  const { lent } = await lab.provider("local");
  return lent === null ? nothing : lent().catch(() => nothing);
}
