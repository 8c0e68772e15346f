import type { Job } from "../../src/core/job.ts";
import type { Lab, LabArchive, LabSession } from "../../src/lab/lab.ts";
import type { JobView } from "../../src/views/job-view.ts";
import type { LabAnswer, LabRequest, LabView } from "../../src/views/lab-view.ts";
import type { Leaderboard } from "../../src/views/leaderboard.ts";

/** A lab that holds what a test puts into it. */
export interface SampleLab extends Lab, Pick<LabArchive, "records"> {
  /** As they are recorded, with their tasks. */
  readonly jobs: Job[];
  /** Views of sessions by id. */
  readonly views: Map<string, LabView>;
  /** What was asked for. */
  readonly asked: { readonly session: string; readonly request: LabRequest }[];
  readonly watched: Set<string>;
  answer: (request: LabRequest) => LabAnswer;
  ledger: Leaderboard | null;
  readonly metrics: Map<string, ReturnType<Lab["series"]>>;
  /** Changes a session's view and tells those who watch it. */
  change(session: string, change: Partial<LabView>): void;
}

export const START = Date.UTC(2026, 0, 1);
export const iso = (seconds: number): string => new Date(START + seconds * 1000).toISOString();

export const sampleJob = (id: string, more: Partial<JobView> = {}): JobView => ({
  id,
  kind: "run",
  description: `job ${id}`,
  state: "running",
  agent: "",
  environment: "default",
  provider: "local",
  sandbox: "live",
  metrics: {},
  turns: 0,
  tokens: { input: 0, output: 0, cached: 0, reasoning: 0 },
  usd: { model: 0, compute: 0.25 },
  createdAt: iso(0),
  startedAt: iso(5),
  elapsedSeconds: 10,
  notes: [],
  ...more,
});

export const sampleView = (session: string, jobs: readonly JobView[], more: Partial<LabView> = {}): LabView => ({
  session,
  at: iso(60),
  isLive: true,
  jobs,
  snapshots: [],
  pool: { running: 1, queued: 0, maxRunning: 8, gpus: { total: { used: 1, limit: 10 }, H100: { used: 1, limit: 4 } } },
  spend: { usd: 2, modelUsd: 0.5, computeUsd: 1.5, budgetUsd: 25, usdPerHour: 4 },
  problems: [],
  ...more,
});

export function createSampleLab(...views: readonly LabView[]): SampleLab {
  const listeners = new Map<string, Set<() => void>>();
  const lab: SampleLab = {
    views: new Map(views.map((view) => [view.session, view])),
    asked: [],
    jobs: [],
    records: () => lab.jobs,
    watched: new Set(),
    answer: () => ({ kind: "done", text: "Done." }),
    ledger: null,
    metrics: new Map(),
    change(session, change) {
      const view = lab.views.get(session) ?? sampleView(session, []);
      lab.views.set(session, { ...view, ...change });
      for (const listener of listeners.get(session) ?? []) listener();
    },
    sessions: () => [...lab.views.keys()].map((id): LabSession => ({ id, project: "project", changedAt: START })),
    view: (session) => lab.views.get(session) ?? null,
    series: (_, jobID) => lab.metrics.get(jobID) ?? new Map(),
    leaderboard: () => lab.ledger,
    watch(session, _, listener) {
      const all = listeners.get(session) ?? new Set();
      listeners.set(session, all.add(listener));
      lab.watched.add(session);
      return () => {
        all.delete(listener);
        if (all.size === 0) lab.watched.delete(session);
      };
    },
    async ask(session, request) {
      lab.asked.push({ session, request });
      return lab.answer(request);
    },
    close() {},
  };
  return lab;
}
