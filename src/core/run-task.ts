/** Which values of a metric are better. */
export type Direction = "min" | "max";

/** What a task without a model asks for, as it was accepted: one command. */
export interface RunTask {
  readonly command: string;
  /** The run's combination of the task's matrix: variables of the command, and what runs are compared by. */
  readonly params: Params;
  /** The text that a metric's number follows in a line of the output, by metric. */
  readonly metrics: Readonly<Record<string, string>>;
  /** Globs of results, below the work directory. */
  readonly files: readonly string[];
  /** Whether it may take over the sandbox of a sibling that has ended. */
  readonly reuse: boolean;
  readonly stop: StopRule | null;
  /** What it measures, if it is a repeat of a benchmark. */
  readonly measures: Measurement | null;
}

/** Metrics that a run is to report: whoever started it has named them. */
export const declaredMetrics = ({ metrics, stop, measures }: RunTask): string[] => [
  ...new Set([...Object.keys(metrics), ...[stop, measures].flatMap((named) => named?.metric ?? [])]),
];

export type Params = Readonly<Record<string, string | number>>;

/** Early stopping among the runs of one call that have the same rule: asynchronous successive halving. */
export interface StopRule {
  readonly metric: string;
  readonly direction: Direction;
  /** Steps at which runs are compared, ascending. */
  readonly rungs: readonly number[];
  /** Share of the runs that have reached a rung that goes on. */
  readonly keep: number;
}

/** How a stopped run lost: its value was worse than the cut at the rung. */
export interface Stopped {
  readonly rung: number;
  readonly value: MetricValue;
  readonly cut: MetricValue;
}

/** JSON has no such numbers, so the contract spells them as text. */
export type MetricValue = number | "NaN" | "Infinity" | "-Infinity";

/** Where a number comes from: the job's own words, its output, or a benchmark in one of its settings. */
export type MetricSource = "reported" | "output" | "snapshot" | "clean";

/** The conditions under which a benchmark measures a job. */
export type BenchmarkSetting = "clean" | "snapshot";

/** One repeat of a benchmark. */
export interface Measurement {
  /** The job whose work is measured. */
  readonly jobID: string;
  /** Its name in the options; null = it was given in the call. */
  readonly benchmark: string | null;
  readonly setting: BenchmarkSetting;
  readonly metric: string;
  readonly direction: Direction;
  /** Globs of project files that are the project's own in the measurement. */
  readonly protect: readonly string[];
  /** Mark of what these files hold, as others are measured once they are changed; null = nothing is protected, or it is not known. */
  readonly evaluation: string | null;
  /** Globs of the job's files that it needs besides the job's changes. */
  readonly artifacts: readonly string[];
  /** 1 … n. */
  readonly seed: number;
  /** How many turns the job had had: after a further one its files may be others. null = not known. */
  readonly turns: number | null;
}
