import type { Experiment } from "../core/experiments/experiment.ts";
import type { Missing } from "../core/experiments/missing.ts";
import type { Summary, Verdict } from "../core/experiments/noise.ts";
import { withoutSeeds } from "../core/experiments/seeds.ts";
import type { Direction, MetricSource, MetricValue, Params } from "../core/run-task.ts";
import { toNumber } from "../core/series.ts";
import { oneLine } from "../shared/plain-text.ts";

/**
 * An experiment in one metric, as the model, the user and every view see it: the jobs that tried the same and differ in
 * their seed at most. Field names are the public contract's. It says what was tried and what came out, and nothing of the
 * session that did.
 */
export interface ExperimentView {
  readonly id: string;
  /** The job to go on from: of several the one with the best mean. */
  readonly job: string;
  /** One line, as its orchestrator named it. */
  readonly description: string;
  /** Without the seed where there are several. */
  readonly params?: Params;
  readonly metric: string;
  /** null where the name of the metric does not say it and nobody else did: then nothing is ranked. */
  readonly direction: Direction | null;
  readonly mean: MetricValue;
  /** Over seeds; absent for one measurement. */
  readonly deviation?: number;
  /** Measurements. */
  readonly n: number;
  /** Further ones that brought no value, as of seeds that failed, by what became of them; absent where it has all. */
  readonly missing?: Missing;
  readonly source: MetricSource;
  /** Absent where its number is weaker than others' or not final, so that it is not ranked. */
  readonly rank?: number;
  /**
   * Against what it started from, or else against the control; null where there is nothing to compare with, or where what is
   * missing may be why.
   */
  readonly verdict: Verdict | null;
  /** Its mean less that of the experiment it started from. */
  readonly deltaParent?: number;
  /** Its mean less the best one. */
  readonly deltaBest?: number;
  /** Of the best: its mean less the next one. */
  readonly deltaNext?: number;
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

/** What the view of an experiment is made of. */
export interface ExperimentFacts {
  readonly id: string;
  /** The job to go on from. */
  readonly experiment: Experiment;
  readonly metric: string;
  readonly direction: Direction | null;
  readonly score: Summary & { readonly source: MetricSource };
  readonly missing?: Missing | undefined;
  readonly rank: number | null;
  readonly verdict: Verdict | null;
  readonly parentMean: MetricValue | null;
  readonly bestMean: MetricValue | null;
  /** The best one's only; null = there is no next. */
  readonly nextMean: MetricValue | null;
  readonly cost: { readonly usd: number; readonly gpuSeconds: number };
  /** null = there is none that a job could start from. */
  readonly snapshot: string | null;
}

export function toExperimentView(facts: ExperimentFacts): ExperimentView {
  const { id, experiment, metric, direction, score, rank, verdict, cost, snapshot } = facts;
  const means = [facts.parentMean, facts.bestMean, facts.nextMean];
  const [deltaParent, deltaBest, deltaNext] = means.map((mean) => difference(score.mean, mean));
  const params = Object.fromEntries(score.n > 1 ? withoutSeeds(experiment.params) : Object.entries(experiment.params));
  const gpu = experiment.devices[0] ?? experiment.gpu;
  return {
    id,
    job: experiment.job,
    description: oneLine(experiment.description, DESCRIPTION_LIMIT),
    ...(Object.keys(params).length > 0 && { params }),
    metric,
    direction,
    mean: score.mean,
    ...(score.deviation !== null && { deviation: score.deviation }),
    n: score.n,
    ...(facts.missing !== undefined && { missing: facts.missing }),
    source: score.source,
    ...(rank !== null && { rank }),
    verdict,
    ...(deltaParent !== null && deltaParent !== undefined && { deltaParent }),
    ...(deltaBest !== null && deltaBest !== undefined && { deltaBest }),
    ...(deltaNext !== null && deltaNext !== undefined && { deltaNext }),
    ...(experiment.parent !== null && { parent: experiment.parent }),
    usd: cost.usd,
    gpuSeconds: cost.gpuSeconds,
    ...(gpu != null && { gpu: oneLine(gpu, NAME_LIMIT) }),
    ...(snapshot !== null && { snapshot }),
    createdAt: new Date(experiment.createdAt).toISOString(),
  };
}

const DESCRIPTION_LIMIT = 80;
const NAME_LIMIT = 60;

function difference(mean: MetricValue, other: MetricValue | null): number | null {
  if (other === null) return null;
  const change = toNumber(mean) - toNumber(other);
  return Number.isFinite(change) ? change : null;
}
