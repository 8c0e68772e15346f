import type { Experiment } from "../../../src/core/experiments/experiment.ts";
import type { Job } from "../../../src/core/job.ts";
import type { MetricSource, RunTask } from "../../../src/core/run-task.ts";
import type { SeriesRecord } from "../../../src/core/series.ts";
import { reasonOf } from "../../../src/prompt/leaderboard.ts";
import { type Report, toReport } from "../../../src/report/report.ts";
import type { Branches } from "../../../src/report/usage.ts";
import { toExperimentView } from "../../../src/views/experiment-view.ts";
import { viewRecords } from "../../../src/views/job-view.ts";
import type { LeaderboardEntry } from "../../../src/views/leaderboard.ts";
import { experimentOf } from "../../support/experiments.ts";
import { AT, jobIn } from "../views/job-in.ts";

export const RUN: RunTask = {
  command: "python train.py --data /home/ada/data",
  params: { LR: 0.1 },
  metrics: { loss: "loss is" },
  files: ["out/*.pt"],
  reuse: false,
  stop: null,
  measures: null,
};

export const agent = (more: Partial<Job> = {}): Job =>
  jobIn({ kind: "completed", result: "It works: see notes" }, { id: "job_a", startedAt: AT + 1_000, ...more });

export const run = (more: Partial<Job> = {}): Job => {
  const base = agent({ id: "job_r", position: 2, ...more });
  return { ...base, task: { ...base.task, prompt: "", agent: "", run: RUN, ...more.task } };
};

export function entryOf(experiment: Experiment, more: { rank?: number; source?: MetricSource } = {}): LeaderboardEntry {
  const value = experiment.results[0]?.value ?? 0;
  const source = more.source ?? "output";
  return {
    view: toExperimentView({
      id: `exp_${experiment.job}`,
      experiment,
      metric: "loss",
      direction: "min",
      score: { mean: value, deviation: null, n: 1, source },
      rank: more.rank ?? null,
      verdict: more.rank === undefined ? null : "better",
      parentMean: null,
      bestMean: null,
      nextMean: null,
      cost: { usd: experiment.usd, gpuSeconds: experiment.gpuSeconds },
      snapshot: experiment.snapshot,
    }),
    label: experiment.description,
    standing: "final",
    isSameBenchmark: true,
  };
}

export interface Sample {
  readonly jobs?: readonly Job[];
  readonly experiments?: readonly Experiment[];
  readonly entries?: readonly LeaderboardEntry[];
  readonly series?: ReadonlyMap<string, ReadonlyMap<string, SeriesRecord>>;
  readonly branches?: Branches | null;
  readonly recordedBranch?: string | null;
  readonly problems?: readonly string[];
}

/** A report as the command makes it, of jobs and experiments of a test. */
export function sampleReport(sample: Sample = {}): Report {
  const { jobs = [agent()], experiments = [], series = new Map(), branches = null, problems = [] } = sample;
  const entries = sample.entries ?? experiments.map((one, index) => entryOf(one, { rank: index + 1 }));
  const board = {
    ...({ scope: "project", metric: "loss", missing: null, direction: "min", directionBy: "name", entries } as const),
    ...{
      count: entries.length,
      ranked: entries.length,
      all: entries.length,
      otherMetrics: [],
      noise: null,
      areRepeatsEqual: false,
      control: null,
    },
  };
  return toReport({
    view: {
      ...{ session: "ses_1", at: new Date(AT + 3_600_000).toISOString(), isLive: false, jobs: viewRecords(jobs) },
      ...{ snapshots: [], pool: { running: 0, queued: 0, maxRunning: null, gpus: {} }, problems: [] },
      spend: { usd: 1.5, modelUsd: 1, computeUsd: 0.5, budgetUsd: null, usdPerHour: 0 },
    },
    jobs,
    experiments: experiments.map((experiment) => ({
      experiment,
      session: "ses_1",
      branch: sample.recordedBranch ?? null,
    })),
    leaderboards: entries.length === 0 ? [] : [board],
    series,
    branches,
    problems,
    unranked: reasonOf,
  });
}

/** As many experiments as a campaign has, with their jobs and curves. */
export function campaign(size: number): Sample {
  const experiments = Array.from({ length: size }, (_, index) => experimentOf(index));
  const jobs = experiments.map((one, index) =>
    run({ id: one.job, position: index + 1, parent: one.parent, createdAt: AT + index * 1_000 }),
  );
  const points = Array.from({ length: 256 }, (_, step) => ({
    value: 1 / (step + 1),
    step,
    at: AT + step,
    source: "output" as const,
    report: step + 1,
  }));
  const series = new Map(experiments.map(({ job }) => [job, new Map([["loss", { points, reports: 256, stride: 1 }]])]));
  return { experiments, jobs, series };
}
