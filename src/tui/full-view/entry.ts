import type { Direction } from "../../core/run-task.ts";
import type { JobView } from "../../views/job-view.ts";
import type { Show } from "./filter.ts";

/** One row of the list. */
export type Entry = JobEntry | HeadingEntry | FoldEntry;

export interface JobEntry {
  readonly kind: "job";
  /** Stays the same while its row moves: what is chosen is remembered by it. */
  readonly key: string;
  readonly job: JobView;
  /** Of its place in the tree, e.g. "│ ├ "; "" elsewhere. */
  readonly branch: string;
  /** What it and the jobs below it took and did; null where none are below it. */
  readonly below: RollUp | null;
  readonly isFolded: boolean;
  /** From 1, in the metric that jobs are ranked by; null = it has no number in it. */
  readonly rank: number | null;
}

/** Cannot be chosen. */
export interface HeadingEntry {
  readonly kind: "heading";
  readonly key: string;
  readonly title: string;
  readonly count: number;
}

/** Many jobs in one row. */
export interface FoldEntry {
  readonly kind: "fold";
  readonly key: string;
  readonly jobs: readonly JobView[];
  readonly isOpen: boolean;
}

/** A job with all jobs that were made from it. */
export interface RollUp {
  /** With the job itself. */
  readonly jobs: number;
  readonly seconds: number;
  readonly usd: number;
  readonly running: number;
  readonly failed: number;
}

/** How jobs are listed. */
export interface Listing {
  readonly order: "urgency" | "tree" | "rank";
  /** What jobs are ranked by; null = none has a metric. */
  readonly metric: string | null;
  readonly direction: Direction | null;
  readonly show: Show;
  /** Typed by the user; "" = everything. */
  readonly filter: string;
  readonly isQueueOpen: boolean;
  /** Ids of jobs whose branches are folded. */
  readonly folded: ReadonlySet<string>;
  /** Ids of jobs that wait for an answer of the user. */
  readonly asking: ReadonlySet<string>;
}

export const jobEntry = (job: JobView): JobEntry => ({
  kind: "job",
  key: job.id,
  job,
  branch: "",
  below: null,
  isFolded: false,
  rank: null,
});
