import type { NoiseFloor, Verdict } from "../core/experiments/noise.ts";
import type { Direction, MetricSource, MetricValue, Params } from "../core/run-task.ts";

/**
 * An experiment in one metric, as the model, the user and every view see it: the jobs that tried the same and differ in
 * their seed at most. Field names are the public contract's. It says what was tried and what came out, and nothing of the
 * session that did.
 */
export interface ExperimentView {
  readonly id: string;
  /** The job to go on from: of several the one with the best number. */
  readonly job: string;
  /** One line, as its orchestrator named it. */
  readonly description: string;
  /** Without the seed where there are several. */
  readonly params?: Params;
  readonly metric: string;
  readonly direction: Direction;
  readonly mean: MetricValue;
  /** Over seeds; absent for one measurement. */
  readonly deviation?: number;
  /** Measurements. */
  readonly n: number;
  readonly source: MetricSource;
  /** Absent where its number is weaker than others' or not final, so that it is not ranked. */
  readonly rank?: number;
  /** Against what it started from, or else against the control; null where there is nothing to compare with. */
  readonly verdict: Verdict | null;
  /** Its mean less that of the experiment it started from. */
  readonly deltaParent?: number;
  /** Its mean less the best one. */
  readonly deltaBest?: number;
  /** The job it started from. */
  readonly parent?: string;
  /** What it cost, with its measurements. */
  readonly usd: number;
  readonly gpuSeconds: number;
  /** What it really got. */
  readonly gpu?: string;
  /** Its newest files, where they are kept. */
  readonly snapshot?: string;
  /** ISO 8601. */
  readonly createdAt: string;
}

/** What `experiments_list` answers besides its text. */
export interface ExperimentsView {
  readonly experiments: readonly ExperimentView[];
  readonly noise: NoiseFloor | null;
}
