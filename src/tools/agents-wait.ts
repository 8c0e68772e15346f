import { z } from "zod";
import { isEnded, type Job } from "../core/job.ts";
import { foldRuns } from "../core/run-groups.ts";
import { countStates } from "../core/state-counts.ts";
import { type WaitResult, waitForJobs } from "../jobs/actions/wait-for-jobs.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { findJobs } from "../jobs/session/find-jobs.ts";
import { renderStates } from "../prompt/job-list.ts";
import { AGENTS_WAIT } from "../prompt/tool-descriptions.ts";
import { renderWait } from "../prompt/wait-answer.ts";
import { type Caller, findCaller, waitDepsOf } from "./caller.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { showBoard, toMetadata, viewJobs, withoutOlder } from "./job-views.ts";

const MAX_SECONDS = 14_400;

export const agentsWaitTool = (deps: ToolDeps) =>
  defineTool({
    name: "agents_wait",
    description: AGENTS_WAIT,
    args: {
      jobs: z.array(z.string()).optional().describe("Job ids; all of this session's when left out."),
      until: z
        .union([z.enum(["all", "any"]), z.number().int().min(1)], { error: '"all", "any" or a whole number from 1' })
        .default("all")
        .describe(
          'How many of them must have ended: "all" (default), "any", or a number. Without jobs, "any" and a number wait for an end that you were not told yet, while jobs are open.',
        ),
      timeout_seconds: z
        .number()
        .positive()
        .max(MAX_SECONDS)
        .default(1800)
        .describe("Longest wait in seconds (default 1800, at most 14400). The jobs go on afterwards."),
    },
    asks: ({ jobs = [] }) => jobs,
    async run({ jobs, until, timeout_seconds }, call) {
      const runtime = await deps.runtime();
      const caller = await findCaller(runtime, call, "agents_wait");
      const { sessionJobs, job } = caller;
      const { orchestrator } = sessionJobs;
      const found = findJobs(sessionJobs, jobs);
      const ids = found.map(({ id }) => id);
      const release = runtime.outbox.hold(orchestrator, ids); // this call tells the ends that happen meanwhile
      const endLending = job ? runtime.waiting.begin(job.id) : () => {};
      const progress = call.progress();
      const show = (current: () => readonly Job[]) =>
        progress.show(() => {
          const now = current();
          const { text, views } = showBoard(runtime, now, job?.id ?? null, "live");
          return { title: renderStates(countStates(now)), text, metadata: { jobs: views } };
        });
      try {
        const result = await waitForJobs(waitDepsOf(runtime, caller), call.sessionID, {
          jobs: ids,
          ...(jobs === undefined && until !== "all" && (await countedOf(runtime, caller, found))),
          until,
          timeoutMs: timeout_seconds * 1000,
          messageID: call.messageID,
          signal: call.abort,
          onProgress: show,
        });
        const { finished, pending } = result;
        const { own, folded } = foldRuns(pending, { viewer: job?.id ?? null });
        const kept = { finished: withoutOlder(finished), pending: withoutOlder(pending) };
        const left = finished.length + pending.length - kept.finished.length - kept.pending.length;
        const pendingViews = viewJobs(runtime, kept.pending);
        const isKept = new Set(kept.pending);
        const isOwn = new Set(own.map(({ id }) => id));
        // The answer to a call that the user stopped reaches nobody.
        const isHeard = result.reason !== "interrupted";
        const endedIDs = finished.map(({ id }) => id);
        const news = isHeard ? await runtime.outbox.claim(orchestrator, endedIDs, call, job?.id ?? null) : [];
        const newIDs = new Set(news.map(({ id }) => id));
        const isEmpty = finished.length + pending.length === 0;
        const facts = {
          forkedFrom: isEmpty && !job ? await call.forkedFrom().catch(() => null) : null,
          reason: result.reason,
          userWrote: result.userWrote,
          lowBudget: result.lowBudget,
          budgetUsd: runtime.options.budget.usdPerSession,
          news,
          toldBefore: finished.filter((one) => !newIDs.has(one.id) && (jobs !== undefined || isOfCaller(caller, one))),
          isNamed: jobs !== undefined,
          isWoken: job !== null && job.turns > 1,
          pending: pendingViews.filter(({ id }) => isOwn.has(id)),
          pendingOthers: own.filter((one) => !isKept.has(one)),
          pendingRuns: folded,
          now: runtime.clock.now(),
        };
        return {
          title: renderStates(countStates([...finished, ...pending])),
          output: renderWait(facts, runtime.ids),
          ...(!isEmpty && { view: () => viewOf(runtime, result, job?.id ?? null) }),
          metadata: {
            reason: result.reason,
            finished: toMetadata(viewJobs(runtime, kept.finished)),
            pending: pendingViews,
            ...(left > 0 && { left }),
          },
        };
      } finally {
        endLending();
        release();
        await progress.stop();
      }
    },
  });

/** Whether the caller has started it. Of a run that another job's agent has started, that agent is told. */
const isOfCaller = ({ job }: Caller, { startedBy }: Job): boolean => startedBy === (job?.id ?? null);

/**
 * What counts for a wait for the first ends, without names. It would be over at once, each time, by an end that the caller's
 * conversation has already, and by a run of another job's agent, of which it is told nothing.
 */
async function countedOf(runtime: Runtime, caller: Caller, found: readonly Job[]) {
  const own = found.filter((one) => isOfCaller(caller, one));
  const ended = own.filter(({ state }) => isEnded(state)).map(({ id }) => id);
  const { orchestrator } = caller.sessionJobs;
  const untold = new Set(await runtime.outbox.untold(orchestrator, ended, caller.job?.id ?? null));
  return { counted: new Set(own.map(({ id }) => id)), told: new Set(ended.filter((id) => !untold.has(id))) };
}

/** What stays in the conversation: the jobs as they are now, and why the wait ended without all of them. */
function viewOf(runtime: Runtime, result: WaitResult, viewer: string | null): string {
  const { finished, pending, reason } = result;
  const why = pending.length === 0 ? null : reason === "timeout" ? TIMED_OUT : result.userWrote ? USER_WROTE : null;
  const { text } = showBoard(runtime, [...finished, ...pending], viewer, "final");
  return why === null ? text : `${text}\n\n${why}`;
}

const TIMED_OUT = "The wait reached its time limit; the jobs go on.";
const USER_WROTE = "The wait ended for your message; the jobs go on.";
