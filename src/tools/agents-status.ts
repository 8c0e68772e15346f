import { z } from "zod";
import { spendIn } from "../core/account.ts";
import { spendOf } from "../core/budget.ts";
import { isEnded, type Job } from "../core/job.ts";
import { foldRuns } from "../core/run-groups.ts";
import { countStates, inOrder } from "../core/state-counts.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { findJobs } from "../jobs/session/find-jobs.ts";
import { renderEnds } from "../prompt/ends.ts";
import { renderEnvironments } from "../prompt/environments.ts";
import { renderForkedFrom } from "../prompt/fork.ts";
import { renderGpus, renderSpend, renderStates } from "../prompt/job-list.ts";
import { newestFirst, renderOverview, renderParkedExpiry, renderSnapshots } from "../prompt/job-overview.ts";
import { MOST } from "../prompt/job-results.ts";
import { renderLent } from "../prompt/lent-paths.ts";
import { renderPrices } from "../prompt/prices.ts";
import { renderGroups } from "../prompt/run-groups.ts";
import { AGENTS_STATUS } from "../prompt/tool-descriptions.ts";
import { renderWarm } from "../prompt/warm.ts";
import type { LentPaths } from "../sandboxes/lent-paths.ts";
import { toEnvironmentView } from "../views/environment-view.ts";
import { toSnapshotView } from "../views/job-view.ts";
import { describeLocation } from "../views/location.ts";
import { findCaller } from "./caller.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { listEnvironments } from "./environments.ts";
import { showBoard, toMetadata, viewJobs, withoutOlder } from "./job-views.ts";

export const agentsStatusTool = (deps: ToolDeps) =>
  defineTool({
    name: "agents_status",
    description: AGENTS_STATUS,
    args: { jobs: z.array(z.string()).optional().describe("Job ids; all of this session's when left out.") },
    asks: ({ jobs = [] }) => jobs,
    async run({ jobs: ids }, call) {
      const runtime = await deps.runtime();
      const { sessionJobs, job } = await findCaller(runtime, call, "agents_status");
      const { orchestrator } = sessionJobs;
      const isNamed = ids !== undefined;
      const found = findJobs(sessionJobs, ids);
      const ended = found.filter(({ state }) => isEnded(state)).map(({ id }) => id);
      const news = await runtime.outbox.claim(orchestrator, ended, call, job?.id ?? null);
      // Read again, because claiming takes a while in which jobs go on, and all that follows is of one moment.
      const all = findJobs(sessionJobs, ids);
      const { own, folded } = foldRuns(all, {
        viewer: job?.id ?? null,
        ...(isNamed && { few: MOST, fewNested: MOST }),
      });
      const states = countStates(all);
      const kept = withoutOlder(all);
      const jobs = viewJobs(runtime, kept);
      const isNews = new Set(news.map(({ id }) => id));
      const told = isNamed ? [...news, ...found.filter(({ id, state }) => isEnded(state) && !isNews.has(id))] : news;
      const requested = job ? snapshotsOf(runtime, [job, ...sessionJobs.all()]) : runtime.snapshots.list(orchestrator);
      const snapshots = requested.newest.map(toSnapshotView);
      const { running, queued, gpus } = runtime.scheduler.counts();
      const pool = { running, queued, limit: runtime.options.maxRunningJobs, gpus };
      const now = runtime.clock.now();
      const spend = {
        ...(job ? spendOf([job, ...sessionJobs.all()], now) : spendIn(sessionJobs.whole.accounts(), now)),
        budgetUsd: job ? job.task.maxUsd : runtime.options.budget.usdPerSession,
      };
      const priceSource = runtime.prices.sourceOf(runtime.providerName);
      const { lent, refused } = job ? { lent: [], refused: [] } : await lentBy(runtime);
      const origin = jobs.length === 0 && !job ? await call.forkedFrom().catch(() => null) : null;
      const none = job
        ? "This job has started no runs."
        : `This session has started no jobs.${origin ? ` ${renderForkedFrom(origin)}` : ""}`;
      const warm = job ? [] : runtime.warm.counts(sessionJobs.whole.orchestrator);
      const readyOf = (name: string) => warm.find(({ environment }) => environment === name)?.ready ?? 0;
      const listedEnvironments = job ? [] : await listEnvironments(runtime);
      const environments = listedEnvironments.map((one) => toEnvironmentView(one, readyOf(one.name)));
      const isOwn = new Set(own.map(({ id }) => id));
      const listed = jobs.filter(({ id }) => isOwn.has(id));
      const isKept = new Set(kept);
      const older = own.filter((one) => !isKept.has(one));
      const shown = isNamed ? listed : newestFirst(listed);
      const aboutSession = () => [
        ...renderParkedExpiry(runtime.snapshots.parkedNearEnd(orchestrator), runtime.clock.now()),
        `Jobs run ${describeLocation(runtime.providerName, runtime.options.local)}.`,
        ...(runtime.providerName === "modal" ? [renderPrices(priceSource, runtime.options.prices)] : []),
        renderLent({ lent, refused }),
        ...runtime.notices(orchestrator),
      ];
      const lines = [
        `Pool: ${running} of ${pool.limit} slots in use, ${queued} queued.${renderGpus(gpus)} ${renderSpend(spend)}`,
        jobs.length === 0 ? none : `${renderStates(inOrder(states, OPEN_FIRST))}:`,
        ...renderGroups(folded, runtime.clock.now()),
        ...renderOverview(shown),
        ...(older.length > 0 ? [`${older.length} older jobs: ${renderStates(countStates(older))}.`] : []),
        ...renderSnapshots(snapshots, requested.count, runtime.clock.now()),
        ...renderEnvironments(environments, runtime.ids, runtime.clock.now()),
        ...renderWarm(warm, new Map(environments.map(({ name, error }) => [name, error?.message ?? ""]))),
        ...(job ? [] : aboutSession()),
      ].filter((line) => line !== "");
      const results = renderEnds(told, runtime.ids, { beside: lines, isNamed });
      return {
        title: renderStates(states),
        output: [...lines, ...(results === "" ? [] : [results])].join("\n"),
        view: () =>
          all.length === 0 ? none : `${showBoard(runtime, all, job?.id ?? null, "final").text}\n\n${lines[0]}`,
        metadata: {
          jobs: toMetadata(jobs),
          ...(kept.length < all.length && { left: all.length - kept.length }),
          pool,
          spend,
          snapshots,
          ...(!job && { environments }),
          lent,
        },
      };
    },
  });

const OPEN_FIRST = ["running", "starting", "queued", "interrupted", "completed", "failed", "cancelled"] as const;

/** Snapshots of a job and the runs it started, oldest first. */
function snapshotsOf(runtime: Runtime, jobs: readonly Job[]) {
  const newest = jobs.flatMap(({ id }) => runtime.snapshots.ofJob(id)).sort((a, b) => a.createdAt - b.createdAt);
  return { newest, count: newest.length };
}

/** Empty where sandboxes are not local, or cannot be made: then the jobs' errors say why. */
async function lentBy(runtime: Runtime): Promise<LentPaths> {
  const nothing = { lent: [], refused: [] };
  if (runtime.providerName !== "local") return nothing;
  const { lent } = await runtime.provider("local");
  return lent === null ? nothing : lent().catch(() => nothing);
}
