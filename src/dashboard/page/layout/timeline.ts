import type { Step } from "../../../views/gpu-steps.ts";
import type { ListedJob } from "../../server/parts.ts";

/** Epoch ms. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** Where a job stands on the timeline, as shares of the span. */
export interface Bar {
  /** From when it was asked for until it started. */
  readonly wait: readonly [from: number, to: number];
  /** null = it has not started. */
  readonly run: readonly [from: number, to: number] | null;
}

type Times = Pick<ListedJob, "createdAt" | "startedAt" | "endedAt" | "elapsedSeconds" | "state">;

const SHORTEST_MS = 10_000;

/** From the first job to the last end, or to now while one is open. */
export function spanOf(jobs: Iterable<Times>, now: number): Span {
  let from = Number.POSITIVE_INFINITY;
  let to = 0;
  for (const job of jobs) {
    from = Math.min(from, Date.parse(job.createdAt));
    to = Math.max(to, endOf(job, now));
  }
  return from > to ? { from: now - SHORTEST_MS, to: now } : { from, to: Math.max(to, from + SHORTEST_MS) };
}

export function toBar(job: Times, { from, to }: Span, now: number): Bar {
  const place = (at: number) => Math.min(1, Math.max(0, (at - from) / (to - from)));
  const end = endOf(job, now);
  const created = Math.min(Date.parse(job.createdAt), end);
  const started = job.startedAt === undefined ? null : Math.min(Math.max(created, Date.parse(job.startedAt)), end);
  return {
    wait: [place(created), place(started ?? end)],
    run: started === null ? null : [place(started), place(end)],
  };
}

/**
 * Until when it was at work, epoch ms: nobody works on an interrupted one. Clocks of two machines may differ: nothing ends
 * before it began.
 */
export const endOf = (job: Times, now: number): number => Math.max(Date.parse(job.createdAt), idleSince(job) ?? now);

function idleSince({ state, startedAt, endedAt, elapsedSeconds }: Times): number | null {
  if (endedAt !== undefined) return Date.parse(endedAt);
  return state === "interrupted" && startedAt !== undefined ? Date.parse(startedAt) + elapsedSeconds * 1000 : null;
}

/** Steps of GPUs with at most about `most` of them, each the mean of those in its part of the time: more than can be seen apart. */
export function thinSteps(steps: readonly Step[], most: number): readonly Step[] {
  const [first, last] = [steps[0], steps.at(-1)];
  if (!first || !last || steps.length <= most) return steps;
  const size = (last.at - first.at) / most;
  const thin: Step[] = [];
  let [from, used, busy] = [first.at, 0, 0];
  for (const [index, step] of steps.entries()) {
    const next = steps[index + 1];
    if (!next) break;
    used += step.used * (next.at - step.at);
    busy += step.busy * (next.at - step.at);
    if (next.at - from < size && next !== last) continue;
    thin.push({ at: from, used: used / (next.at - from), busy: busy / (next.at - from) });
    [from, used, busy] = [next.at, 0, 0];
  }
  return [...thin, last];
}
