import type { Standing } from "../core/experiments/experiment.ts";
import type { NoiseFloor } from "../core/experiments/noise.ts";
import type { Direction } from "../core/run-task.ts";
import type { ExperimentView } from "./experiment-view.ts";

/** Entries that a model can ask for. */
export const MOST_LISTED = 200;

/** Experiments in one metric, the best first. */
export interface Leaderboard {
  readonly scope: "project" | "session";
  /** null = there is no experiment. */
  readonly metric: string | null;
  /** Whether a metric of this name was asked for, and no experiment has it. */
  readonly missing: string | null;
  readonly direction: Direction | null;
  /** Who said which direction is better. */
  readonly directionBy: "call" | "benchmark" | "stop" | "name" | null;
  /** An experiment is in it twice where a stronger number of it is not final. */
  readonly entries: readonly LeaderboardEntry[];
  /** Experiments with this metric, and those of them that are ranked. */
  readonly count: number;
  readonly ranked: number;
  /** Experiments that have no number in any metric yet. */
  readonly all: number;
  readonly otherMetrics: readonly string[];
  readonly noise: NoiseFloor | null;
  /** Whether what was measured again gave the same number every time, so that repeats tell nothing of noise. */
  readonly areRepeatsEqual: boolean;
  /** Entries that ran the same and are several experiments because the project's files were changed between them. */
  readonly apart?: readonly (readonly LeaderboardEntry[])[];
  /** Experiments that the noise floor is not from, because early stopping stopped runs of them. */
  readonly cutShort?: number;
  /** What others are compared with where they started from none. */
  readonly control: { readonly job: string; readonly description: string } | null;
}

export interface LeaderboardEntry {
  readonly view: ExperimentView;
  /** Its description without its parameters, which the view has. */
  readonly label: string;
  readonly standing: Standing;
  /** Whether its job did not fail but was cancelled. */
  readonly isCancelled?: true;
  /** Measured by the benchmark that numbers of this kind are ranked by; false = by an earlier one. */
  readonly isSameBenchmark: boolean;
  /** Whether it has no verdict because of measurements that are missing, of it or of what it is compared with. */
  readonly isInDoubt?: true;
}

/** What is said of a number that is not final; "" = it is. */
export const standingWord = ({ standing, isCancelled }: Pick<LeaderboardEntry, "standing" | "isCancelled">): string =>
  standing === "final" ? "" : standing === "stopped" ? "stopped early" : isCancelled ? "cancelled" : standing;

export const countExperiments = (entries: readonly LeaderboardEntry[]): number =>
  new Set(entries.map(({ view }) => view.id)).size;
