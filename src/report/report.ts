import type { Verdict } from "../core/experiments/noise.ts";
import type { Job } from "../core/job.ts";
import type { Direction, MetricSource, MetricValue, Params, StopRule } from "../core/run-task.ts";
import { countNotFinite, type NotFinite, positionOf, type SeriesRecord } from "../core/series.ts";
import type { ExperimentView } from "../views/experiment-view.ts";
import { totalGpuUse } from "../views/gpu-totals.ts";
import type { JobView, SnapshotView } from "../views/job-view.ts";
import type { LabView, SpendView } from "../views/lab-view.ts";
import type { Leaderboard } from "../views/leaderboard.ts";
import { type Branches, type ProjectExperiment, type Usage, usageOf } from "./usage.ts";

/** Marks reports of ours, as no other file may be overwritten by one. */
export const REPORT_KIND = "opencode-parallel-agents report";

/** What a report says, as `--json` prints it; the page and the table of `--csv` are made of it. */
export interface Report {
  readonly kind: typeof REPORT_KIND;
  readonly version: 1;
  readonly session: string;
  /** ISO 8601. */
  readonly at: string;
  /** Whether prompts, outputs, results, names of branches and paths were left out. */
  readonly redacted: boolean;
  /** Whether jobs may go on, because a process has the session in use. */
  readonly isLive: boolean;
  readonly spend: SpendView;
  /** In the order in which they were started. */
  readonly jobs: readonly JobView[];
  /** One for each metric, that which experiments are ranked by first. */
  readonly leaderboards: readonly ReportBoard[];
  /** What is needed to repeat each experiment of the project, and each other job of the session. */
  readonly recipes: readonly Recipe[];
  readonly series: readonly ReportSeries[];
  readonly snapshots: readonly SnapshotView[];
  readonly usage: Usage;
  /** What could not be read, was lost or is left out, in sentences. */
  readonly problems: readonly string[];
}

/** `Leaderboard` for a reader without our types: each row says why it has no rank. */
export interface ReportBoard extends Omit<Leaderboard, "entries" | "missing" | "otherMetrics"> {
  readonly metric: string;
  readonly entries: readonly ReportEntry[];
}

export interface ReportEntry extends ExperimentView {
  readonly label: string;
  readonly standing: string;
  /** Why it is not ranked; null = it is. */
  readonly unranked: string | null;
}

/** The values of a metric over the steps of its job. */
export interface ReportSeries {
  readonly job: string;
  readonly metric: string;
  readonly source: MetricSource | null;
  /** Values that were reported; `points` may be fewer. */
  readonly reports: number;
  /** How many of them were no finite number; `points` have the first of each kind. */
  readonly notFinite: NotFinite;
  /** The step, or the number of the report where it has none; the value; epoch ms. */
  readonly points: readonly (readonly [step: number, value: MetricValue, at: number])[];
}

/** All that is known of how a job was made. null = nothing of the kind, or not known. */
export interface Recipe {
  readonly job: string;
  readonly kind: "agent" | "run";
  readonly description: string;
  /** Whether it is a job of the session; else one of the project's. */
  readonly isOfSession: boolean;
  readonly prompt: string | null;
  readonly command: string | null;
  readonly agent: string | null;
  readonly model: string | null;
  readonly variant: string | null;
  readonly params: Params;
  readonly seed: string | null;
  /** The text that a metric's number follows in the output. */
  readonly metricTexts: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly stop: StopRule | null;
  readonly environment: string;
  readonly image: string | null;
  /** Equal for equal images and set-ups. */
  readonly recipe: string | null;
  readonly provider: string;
  readonly gpuWanted: string | null;
  readonly gpuGot: string | null;
  readonly devices: readonly string[];
  /** The commit that was checked out, and the tree of the files with what was not committed. */
  readonly baseCommit: string | null;
  readonly baseTree: string | null;
  readonly fromSnapshot: string | null;
  readonly parent: string | null;
  /** Its newest files. */
  readonly snapshot: string | null;
  /** That its changes were collected as. */
  readonly branch: string | null;
}

export interface ReportFacts {
  readonly view: LabView;
  /** As they are recorded. */
  readonly jobs: readonly Job[];
  readonly experiments: readonly ProjectExperiment[];
  readonly leaderboards: readonly Leaderboard[];
  /** By job. */
  readonly series: ReadonlyMap<string, ReadonlyMap<string, SeriesRecord>>;
  /** null = git could not be asked. */
  readonly branches: Branches | null;
  readonly problems: readonly string[];
  /** Why an entry has no rank. */
  readonly unranked: (entry: Leaderboard["entries"][number], board: Leaderboard) => string;
}

export function toReport(facts: ReportFacts): Report {
  const { view, leaderboards, series } = facts;
  const experiments = new Map(facts.experiments.map((one) => [one.experiment.job, one]));
  const jobs = new Map(facts.jobs.map((job) => [job.id, job]));
  const others = facts.experiments.filter(({ experiment }) => !jobs.has(experiment.job));
  return {
    kind: REPORT_KIND,
    version: 1,
    session: view.session,
    at: view.at,
    redacted: false,
    isLive: view.isLive,
    spend: view.spend,
    jobs: view.jobs,
    leaderboards: leaderboards.flatMap((board) => (board.metric === null ? [] : [toBoard(board, board.metric, facts)])),
    recipes: [
      ...facts.jobs.map((job) => recipeOfJob(job, experiments.get(job.id) ?? null, facts.branches)),
      ...others.map((one) => recipeOfExperiment(one, facts.branches)),
    ],
    series: [...series].flatMap(([job, metrics]) => [...metrics].map(([name, record]) => toSeries(job, name, record))),
    snapshots: view.snapshots,
    usage: usageOf(facts.jobs, facts.experiments, facts.branches, totalGpuUse(view.jobs, Date.parse(view.at))),
    problems: [...view.problems, ...facts.problems],
  };
}

function toBoard(board: Leaderboard, metric: string, { unranked }: ReportFacts): ReportBoard {
  const { entries, missing: _, otherMetrics: __, ...rest } = board;
  return {
    ...rest,
    metric,
    entries: entries.map((entry) => ({
      ...entry.view,
      label: entry.label,
      standing: entry.standing,
      unranked: entry.view.rank === undefined ? unranked(entry, board) : null,
    })),
  };
}

const toSeries = (job: string, metric: string, { points, reports, notFinite }: SeriesRecord): ReportSeries => ({
  job,
  metric,
  source: points.at(-1)?.source ?? null,
  reports,
  notFinite: notFinite ?? countNotFinite(points),
  points: points.map((point) => [positionOf(point), point.value, point.at]),
});

function recipeOfJob(job: Job, kept: ProjectExperiment | null, branches: Branches | null): Recipe {
  const { task, base, formerBases } = job;
  const first = formerBases.at(-1) ?? base;
  const { run } = task;
  return {
    job: job.id,
    kind: run === null ? "agent" : "run",
    description: task.description,
    isOfSession: true,
    prompt: run === null ? task.prompt : null,
    command: run?.command ?? null,
    agent: task.agent || null,
    model: task.model,
    variant: task.variant,
    params: run?.params ?? {},
    seed: kept?.experiment.seed ?? null,
    metricTexts: run?.metrics ?? {},
    files: run?.files ?? [],
    stop: run?.stop ?? null,
    environment: task.environment,
    image: kept?.experiment.image ?? null,
    recipe: kept?.experiment.recipe || null,
    provider: job.provider,
    gpuWanted: task.gpu,
    gpuGot: job.gpu ?? kept?.experiment.gpu ?? null,
    devices: job.devices.length > 0 ? job.devices : (kept?.experiment.devices ?? []),
    baseCommit: first?.head ?? kept?.experiment.baseHead ?? null,
    baseTree: first?.tree ?? kept?.experiment.baseTree ?? null,
    fromSnapshot: task.snapshotID,
    parent: job.parent,
    snapshot: job.sandbox.kind === "parked" ? job.sandbox.snapshotID : (kept?.experiment.snapshot ?? null),
    branch: kept?.branch ?? branches?.of.get(job.id)?.name ?? null,
  };
}

function recipeOfExperiment({ experiment, branch }: ProjectExperiment, branches: Branches | null): Recipe {
  const { job, kind, description, command, params, seed, metricTexts, files, stop, environment, image } = experiment;
  const { recipe, provider, gpuWanted, gpu, devices, baseHead, baseTree, fromSnapshot, parent, snapshot } = experiment;
  return {
    ...{ job, kind, description, isOfSession: false, prompt: null, command, agent: null, model: null, variant: null },
    ...{ params, seed, metricTexts, files, stop, environment, image, recipe: recipe || null, provider, gpuWanted },
    ...{ gpuGot: gpu, devices, baseCommit: baseHead, baseTree, fromSnapshot, parent, snapshot },
    branch: branch ?? branches?.of.get(job)?.name ?? null,
  };
}

/** A row in a table of experiments, on the page and in CSV. */
export interface Row {
  readonly metric: string;
  readonly direction: Direction | null;
  readonly entry: ReportEntry;
  readonly verdict: Verdict | null;
}

export const rowsOf = ({ leaderboards }: Pick<Report, "leaderboards">): Row[] =>
  leaderboards.flatMap(({ metric, direction, entries }) =>
    entries.map((entry) => ({ metric, direction, entry, verdict: entry.verdict })),
  );
