import type { JobView } from "../../views/job-view.ts";
import { type Entry, jobEntry, type Listing } from "./entry.ts";

type Section = "needs" | "running" | "queued" | "ended";

const TITLES = [
  ["needs", "Needs you"],
  ["running", "Running"],
  ["queued", "Queued"],
  ["ended", "Ended"],
] as const satisfies readonly (readonly [Section, string])[];

/** The row that stands for all queued jobs. */
export const QUEUE_KEY = "queue:";

/**
 * What waits for a person first, then what runs, what waits for its turn in one row, and what has ended. Within a section
 * the order is that of the start, so that rows keep their places while jobs work; of what has ended the newest is first.
 */
export function byUrgency(
  jobs: readonly JobView[],
  { isQueueOpen, asking }: Pick<Listing, "isQueueOpen" | "asking">,
): readonly Entry[] {
  const sections = new Map<Section, JobView[]>(TITLES.map(([section]) => [section, []]));
  for (const job of jobs) sections.get(sectionOf(job, asking))?.push(job);
  return TITLES.flatMap(([section, title]): readonly Entry[] => {
    const found = sections.get(section) ?? [];
    if (found.length === 0) return [];
    const heading = { kind: "heading", key: `heading:${section}`, title, count: found.length } as const;
    return [heading, ...rowsOf(section, found, isQueueOpen)];
  });
}

function rowsOf(section: Section, jobs: readonly JobView[], isQueueOpen: boolean): readonly Entry[] {
  if (section === "running") return jobs.map(jobEntry);
  if (section === "queued") {
    const first = [...jobs].sort(byPlace);
    if (first.length === 1) return first.map(jobEntry);
    const fold = { kind: "fold", key: QUEUE_KEY, jobs: first, isOpen: isQueueOpen } as const;
    return isQueueOpen ? [fold, ...first.map(jobEntry)] : [fold];
  }
  return [...jobs].sort(byEnd).map(jobEntry);
}

/** Failed jobs and interrupted ones go no further by themselves, and a question waits for its answer. */
function sectionOf({ id, state, stopped, update }: JobView, asking: ReadonlySet<string>): Section {
  if (asking.has(id) || state === "interrupted") return "needs";
  if (state === "failed" && stopped === undefined) return "needs";
  if (state === "running" || state === "starting") return "running";
  if (state === "queued") return "queued";
  return update !== undefined && update.conflicts.length > 0 ? "needs" : "ended";
}

const byPlace = (a: JobView, b: JobView): number => (a.queuePosition ?? LAST) - (b.queuePosition ?? LAST);

/** What has not ended is before what has, and of that the newest is first. */
const byEnd = (a: JobView, b: JobView): number => endOf(b) - endOf(a);
const endOf = ({ endedAt }: JobView): number => (endedAt === undefined ? LAST : Date.parse(endedAt));

/** Sorts behind everything; finite, as a difference of infinities is no order. */
const LAST = Number.MAX_SAFE_INTEGER;
