import type { JobView } from "../../views/job-view.ts";
import { type JobEntry, jobEntry, type RollUp } from "./entry.ts";

/**
 * The jobs under those that they were made from: whose files they started with, or else whose agent started them. Jobs
 * whose origin is not among them are at the top. However the links are, each job has one row.
 * @param folded ids of jobs below which nothing is shown
 */
export function treeOf(jobs: readonly JobView[], folded: ReadonlySet<string>): readonly JobEntry[] {
  const below = childrenOf(jobs);
  const entries: JobEntry[] = [];
  // A chain of forks may be longer than the stack is deep.
  const open: Place[] = (below.get(null) ?? []).map((job, at, all) => ({
    job,
    above: "",
    isTop: true,
    isLast: at === all.length - 1,
  }));
  open.reverse();
  const sums = sumUp(jobs, below);
  for (let place = open.pop(); place; place = open.pop()) {
    const { job, above, isTop, isLast } = place;
    const children = below.get(job.id) ?? [];
    const isFolded = children.length > 0 && folded.has(job.id);
    const branch = isTop ? "" : `${shortened(above)}${isLast ? "└ " : "├ "}`;
    entries.push({
      ...jobEntry(job),
      branch,
      below: children.length > 0 ? (sums.get(job.id) ?? null) : null,
      isFolded,
    });
    if (isFolded) continue;
    const under = isTop ? "" : `${above}${isLast ? "  " : "│ "}`;
    for (let at = children.length - 1; at >= 0; at--)
      open.push({ job: children[at] as JobView, above: under, isTop: false, isLast: at === children.length - 1 });
  }
  return entries;
}

interface Place {
  readonly job: JobView;
  /** Lines of the branches that pass its row. */
  readonly above: string;
  readonly isTop: boolean;
  readonly isLast: boolean;
}

/** By id of the job they belong under; null = at the top. In the order of their start. */
function childrenOf(jobs: readonly JobView[]): ReadonlyMap<string | null, readonly JobView[]> {
  const parents = new Map<string, string | null>();
  const known = new Set(jobs.map(({ id }) => id));
  for (const { id, parent, startedBy } of jobs)
    parents.set(id, [parent, startedBy].find((one) => one !== undefined && one !== id && known.has(one)) ?? null);
  cutCircles(parents);
  const below = new Map<string | null, JobView[]>();
  for (const job of jobs) {
    const parent = parents.get(job.id) ?? null;
    const siblings = below.get(parent);
    if (siblings) siblings.push(job);
    else below.set(parent, [job]);
  }
  return below;
}

/** Jobs that are each other's origin would be under none that is shown: the first of them goes to the top. */
function cutCircles(parents: Map<string, string | null>): void {
  const good = new Set<string>();
  for (const id of parents.keys()) {
    const path = new Set<string>();
    for (let at: string | null = id; at !== null && !good.has(at); at = parents.get(at) ?? null) {
      if (path.has(at)) {
        parents.set(at, null);
        break;
      }
      path.add(at);
    }
    for (const one of path) good.add(one);
  }
}

function sumUp(
  jobs: readonly JobView[],
  below: ReadonlyMap<string | null, readonly JobView[]>,
): ReadonlyMap<string, RollUp> {
  const downwards: JobView[] = [];
  const open = [...(below.get(null) ?? [])];
  for (let job = open.pop(); job; job = open.pop()) {
    downwards.push(job);
    open.push(...(below.get(job.id) ?? []));
  }
  const sums = new Map<string, RollUp>(jobs.map((job) => [job.id, ownOf(job)]));
  for (const job of downwards.reverse())
    for (const child of below.get(job.id) ?? [])
      sums.set(job.id, add(sums.get(job.id) as RollUp, sums.get(child.id) as RollUp));
  return sums;
}

const ownOf = ({ state, usd, elapsedSeconds }: JobView): RollUp => ({
  jobs: 1,
  seconds: elapsedSeconds,
  usd: usd.model + usd.compute,
  running: state === "running" || state === "starting" ? 1 : 0,
  failed: state === "failed" ? 1 : 0,
});

const add = (a: RollUp, b: RollUp): RollUp => ({
  jobs: a.jobs + b.jobs,
  seconds: a.seconds + b.seconds,
  usd: a.usd + b.usd,
  running: a.running + b.running,
  failed: a.failed + b.failed,
});

/** A deep branch would leave no room for the job: of its lines the nearest are shown. */
const shortened = (above: string): string => (above.length <= DEEPEST ? above : `…${above.slice(1 - DEEPEST)}`);
const DEEPEST = 16;
