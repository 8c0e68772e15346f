import { createHash } from "node:crypto";
import type { Environment } from "../../config/environment.ts";
import { parseGpu } from "../../config/gpu.ts";
import { burstGpuSeconds } from "../burst.ts";
import { computeUsd } from "../cost.ts";
import { isEnded, type Job } from "../job.ts";
import { valueText } from "../matrix.ts";
import type {
  Direction,
  Measurement,
  MetricSource,
  MetricValue,
  Params,
  RunTask,
  Stopped,
  StopRule,
} from "../run-task.ts";
import { environmentOf } from "../task-source.ts";
import { seedOf, sorted, withoutSeeds } from "./seeds.ts";

/** How far the numbers of a job are final. `outdated`: measured before a message woke it, so that its files may be others now. */
export type Standing = "final" | "outdated" | "running" | "stopped" | "failed";

/** A value of a metric that a job has by itself. */
export interface OwnResult {
  readonly metric: string;
  readonly value: MetricValue;
  readonly step: number | null;
  readonly source: MetricSource;
  /** ISO 8601. */
  readonly at: string;
}

/** What was tried, what it started from and what came out: what is kept of a job for the project, and enough to repeat it. */
export interface Experiment {
  readonly job: string;
  readonly kind: "agent" | "run";
  readonly description: string;
  /** null for an agent, whose task is the session's own. */
  readonly command: string | null;
  readonly params: Params;
  /** The text that a metric's number follows, by metric. */
  readonly metricTexts: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly stop: StopRule | null;
  readonly seed: string | null;
  readonly environment: string;
  /** The environment's image and set-up as they were: the image's name, and a mark of the whole recipe. */
  readonly image: string | null;
  readonly recipe: string;
  readonly provider: string;
  readonly gpuWanted: string | null;
  /** What it got, and what that reported to be. */
  readonly gpu: string | null;
  readonly devices: readonly string[];
  /** The project's files it started from: tree, and the commit that was checked out. */
  readonly baseTree: string | null;
  readonly baseHead: string | null;
  readonly fromSnapshot: string | null;
  readonly parent: string | null;
  /** The same for all jobs of one call. */
  readonly call: string | null;
  readonly state: Job["state"]["kind"];
  readonly standing: Standing;
  readonly exitCode: number | null;
  readonly stopped: Stopped | null;
  readonly results: readonly OwnResult[];
  readonly usd: number;
  /** Time in which its sandbox ran its work; `runningSince`: of the present execution. Epoch ms. */
  readonly ranMs: number;
  readonly runningSince: number | null;
  readonly gpuSeconds: number;
  readonly createdAt: number;
  readonly endedAt: number | null;
  /** Its newest files. */
  readonly snapshot: string | null;
  /** Of an agent, with each of which its files may have changed; null = not known. */
  readonly turns: number | null;
}

/** By what experiments are found to be the same. */
export interface ExperimentKeys {
  /** Of jobs that differ in their seed at most. */
  readonly group: string;
  /** Of runs with the same command, parameters and environment; null for an agent. */
  readonly tried: string | null;
  /** The files they started from; null = none, or not known yet. */
  readonly start: string | null;
}

/** One repeat of a benchmark. */
export interface Measured {
  /** The run that measured. */
  readonly by: string;
  readonly job: string;
  readonly source: MetricSource;
  /** The same for all measurements under the same conditions. */
  readonly bench: string;
  readonly metric: string;
  readonly direction: Direction;
  readonly seed: number;
  /** Those that the job had had; null = not known. */
  readonly turns: number | null;
  /** null = an earlier version did not keep it. */
  readonly state: Job["state"]["kind"] | null;
  /** Empty until it has completed. */
  readonly values: readonly (readonly [metric: string, value: MetricValue])[];
  readonly at: number;
  readonly usd: number;
  /** As of an experiment. */
  readonly ranMs: number;
  readonly runningSince: number | null;
  readonly gpuSeconds: number;
}

/** Whether the job belongs into the ledger: what has metrics, and every run that could start. */
export function isExperiment({ task, state, startedAt, metrics }: Job): boolean {
  if (task.run?.measures) return false;
  if (state.kind === "failed" && startedAt === null && state.failure.code === "invalid_task") return false;
  return task.run !== null || Object.keys(metrics).length > 0;
}

/**
 * What is kept of a job now.
 * @param former what was kept of it before: what the job itself does not remember is taken from there
 */
export function toExperiment(
  job: Job,
  environments: Readonly<Record<string, Environment>>,
  former: Experiment | null,
): Experiment {
  const { task, state, base } = job;
  const { run } = task;
  const spent = timeOf(job, former);
  return {
    job: job.id,
    kind: run === null ? "agent" : "run",
    description: task.description,
    command: run?.command ?? null,
    params: run?.params ?? {},
    metricTexts: run?.metrics ?? {},
    files: run?.files ?? [],
    stop: run?.stop ?? null,
    seed: run ? seedOf(run.params) : null,
    environment: task.environment,
    ...(former ? { image: former.image, recipe: former.recipe } : recipeOf(environmentOf(environments, task))),
    provider: job.provider,
    gpuWanted: task.gpu,
    gpu: job.gpu ?? job.burst?.gpu ?? former?.gpu ?? null,
    devices: [job.devices, job.burst?.devices ?? []].find((one) => one.length > 0) ?? former?.devices ?? [],
    baseTree: firstBase(job)?.tree ?? null,
    baseHead: firstBase(job)?.head ?? null,
    fromSnapshot: task.snapshotID,
    parent: job.parent,
    call: job.origin && mark([job.orchestrator, job.origin.messageID, job.origin.callID]),
    state: state.kind,
    standing: standingOf(job),
    exitCode: job.exitCode,
    stopped: job.stopped,
    results: resultsOf(job),
    usd: job.modelUsd + computeUsd(job.compute, state.since),
    ...spent,
    gpuSeconds: (gpuCount(job) * spent.ranMs) / 1000 + burstGpuSeconds(job, state.since),
    createdAt: job.createdAt,
    endedAt: isEnded(state) ? state.since : null,
    snapshot: job.sandbox.kind === "parked" ? job.sandbox.snapshotID : (former?.snapshot ?? null),
    turns: job.turns,
  };

  /** The files it began with: later ones are what it was updated to. */
  function firstBase({ formerBases }: Job): Job["base"] {
    return formerBases.at(-1) ?? base;
  }
}

export function keysOf(experiment: Experiment): ExperimentKeys {
  const { kind, job, command, params, metricTexts, environment, recipe, gpuWanted, baseTree, fromSnapshot } =
    experiment;
  const start = fromSnapshot ?? baseTree;
  if (kind === "agent") return { group: mark([kind, job]), tried: null, start };
  const tried = [command, environment, recipe];
  return {
    group: mark([...tried, withoutSeeds(asVariables(params)), sorted(metricTexts), gpuWanted, start]),
    tried: mark([...tried, sorted(asVariables(params))]),
    start,
  };
}

/** A key that experiments share when they differ in the project's files alone; null for agents, and for a job that started from a snapshot or from no project. */
export const keyWithoutFiles = (experiment: Experiment): string | null =>
  experiment.kind === "agent" || experiment.baseTree === null || experiment.fromSnapshot !== null
    ? null
    : keysOf({ ...experiment, baseTree: null }).group;

/**
 * A variable is a text: "0.1" and 0.1 are the same. What reads as a number is taken for one, so that the keys which earlier
 * versions made of numbers stay.
 */
const asVariables = (params: Params): Params =>
  Object.fromEntries(
    Object.entries(params).map(([name, value]) => {
      const number = Number(value);
      return [name, Number.isFinite(number) && valueText(number) === value ? number : value];
    }),
  );

/**
 * The measurement that a run makes; null for every other job.
 * @param former what was kept of it before: its conditions were those of that time, and it knows how long it has run
 */
export function toMeasured(
  job: Job,
  environments: Readonly<Record<string, Environment>>,
  former: Measured | null,
): Measured | null {
  const { run } = job.task;
  if (!run?.measures) return null;
  const { jobID, setting, metric, direction, seed, turns } = run.measures;
  const declared = new Set([metric, ...Object.keys(run.metrics)]);
  const values = Object.entries(job.metrics).filter(([name]) => declared.has(name));
  const spent = timeOf(job, former);
  // An earlier version kept no times: what it has counted of a run that has ended stays.
  const isKept = former !== null && isEnded(job.state) && former.at === job.state.since;
  return {
    by: job.id,
    job: jobID,
    source: setting,
    bench: former?.bench ?? benchOf(job.task, run, run.measures, environments),
    metric,
    direction,
    seed,
    turns,
    state: job.state.kind,
    values: job.state.kind === "completed" ? values.map(([name, { value }]) => [name, value] as const) : [],
    at: job.state.since,
    usd: job.modelUsd + computeUsd(job.compute, job.state.since),
    ...spent,
    gpuSeconds: isKept ? former.gpuSeconds : job.gpu === null ? 0 : (gpuCount(job) * spent.ranMs) / 1000,
  };
}

/** Names the conditions of a measurement. What is empty is left out, so that the names stay as earlier versions made them. */
function benchOf(
  task: Job["task"],
  { command, metrics }: RunTask,
  { benchmark, setting, metric, direction, protect, artifacts, evaluation }: Measurement,
  environments: Readonly<Record<string, Environment>>,
): string {
  // A job's own files are measured with what they were made from, whatever the environment has become.
  const environment = setting === "clean" ? environmentOf(environments, task) : undefined;
  const { recipe } = recipeOf(environment);
  return mark([
    ...[benchmark, setting, command, metric, direction, protect, artifacts, task.environment, task.gpu],
    ...(evaluation === null ? [] : [evaluation]),
    ...(Object.keys(metrics).length === 0 ? [] : [{ metrics: sorted(metrics) }]),
    ...(recipe === recipeOf(undefined).recipe ? [] : [{ recipe }]),
  ]);
}

/** Values that a benchmark has measured are not the job's own: they come with the run that measured them. */
const resultsOf = ({ metrics }: Job): OwnResult[] =>
  Object.entries(metrics)
    .filter(([, { source }]) => source === "reported" || source === "output")
    .map(([metric, { value, step, source, at }]) => ({ metric, value, step: step ?? null, source, at }));

export function standingOf({ state, stopped }: Pick<Job, "state" | "stopped">): Standing {
  if (state.kind === "completed") return "final";
  if (stopped !== null) return "stopped";
  return isEnded(state) ? "failed" : "running";
}

/** How long it has run. An interrupted one was left alone since nobody knows when. */
function timeOf(
  { state }: Job,
  former: Pick<Experiment, "ranMs" | "runningSince"> | null,
): Pick<Experiment, "ranMs" | "runningSince"> {
  const { ranMs, runningSince } = former ?? { ranMs: 0, runningSince: null };
  if (state.kind === "running") return { ranMs, runningSince: state.since };
  if (runningSince === null) return { ranMs, runningSince };
  return { ranMs: ranMs + (isEnded(state) ? Math.max(0, state.since - runningSince) : 0), runningSince: null };
}

function gpuCount({ gpu, task }: Job): number {
  const parsed = parseGpu(gpu ?? task.gpu ?? "");
  return parsed.kind === "ok" ? (parsed.preferences[0]?.count ?? 0) : 0;
}

function recipeOf(environment: Environment | undefined): Pick<Experiment, "image" | "recipe"> {
  const { image = null, setup = [] } = environment ?? {};
  return {
    image: image === null || typeof image === "string" ? image : (image.base ?? "dockerfile"),
    recipe: mark([image, setup]),
  };
}

/** A short name for a value; equal values have equal names. */
export const mark = (value: unknown): string =>
  createHash("sha256").update(JSON.stringify(value)).digest("hex").slice(0, 16);
