import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defaultOptions } from "../../../../src/config/schema.ts";
import type { Job, JobState, Metric } from "../../../../src/core/job.ts";
import type { JobTask } from "../../../../src/core/job-task.ts";
import { newJob } from "../../../../src/core/new-job.ts";
import type {
  Measurement,
  MetricSource,
  MetricValue,
  Params,
  Stopped,
  StopRule,
} from "../../../../src/core/run-task.ts";
import type { TaskSource } from "../../../../src/core/task-source.ts";
import { listExperiments } from "../../../../src/jobs/actions/list-experiments.ts";
import { createLedger, type Ledger } from "../../../../src/jobs/project/ledger.ts";
import type { ListRequest } from "../../../../src/jobs/ranking/rank-experiments.ts";
import type { JobChange, SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { renderLeaderboard } from "../../../../src/prompt/leaderboard.ts";
import { createEmitter } from "../../../../src/shared/emitter.ts";
import type { Log } from "../../../../src/shared/log.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { closed, opened } from "../../../support/ledger.ts";

/** What a job of a test is, besides what all are. */
export interface Wanted {
  readonly id?: string;
  readonly description?: string;
  /** null = an agent. */
  readonly command?: string | null;
  readonly params?: Params;
  readonly metrics?: Readonly<Record<string, MetricValue>>;
  readonly source?: MetricSource;
  readonly parent?: string;
  readonly snapshotID?: string;
  /** Whose files it starts from, before they are frozen. */
  readonly from?: TaskSource;
  /** null = it has no files of a project. */
  readonly tree?: string | null;
  readonly gpu?: string;
  readonly stop?: StopRule;
  readonly stopped?: Stopped;
  readonly measures?: Partial<Measurement> & { readonly jobID: string };
  readonly state?: JobState;
  readonly sandbox?: Job["sandbox"];
  readonly usd?: number;
  readonly turns?: number;
  readonly call?: string;
}

const BASE = { head: "1".repeat(40), commit: "c", nested: [], withheld: [], emptyFolders: [], notes: [] };
const MINUTE = 60_000;

/** Jobs of sessions and the ledger they are written to, without any of what runs jobs. */
export function openLedgerWorld(options: { readonly stateDir?: string } = {}) {
  const stateDir = options.stateDir ?? mkdtempSync(join(tmpdir(), "ledger-"));
  opened("ledger", stateDir);
  const clock = createFakeClock();
  const changes = createEmitter<JobChange>((error) => {
    throw error;
  });
  const openings = createEmitter<SessionJobs>(() => {});
  const sessions = new Map<string, Map<string, Job>>();
  const logged: string[] = [];
  const log: Log = (level, message) => level !== "debug" && logged.push(`${level}: ${message}`);
  const jobsOf = (orchestrator: string) => {
    const jobs = sessions.get(orchestrator) ?? new Map<string, Job>();
    sessions.set(orchestrator, jobs);
    return jobs;
  };
  const sessionJobs = (orchestrator: string) => {
    const view = { orchestrator, all: () => [...jobsOf(orchestrator).values()] } as unknown as SessionJobs;
    return Object.assign(view, { whole: view });
  };
  const projects = new Map<string, string | null>();
  const projectOf = (orchestrator: string) =>
    projects.has(orchestrator) ? (projects.get(orchestrator) ?? null) : "0123456789abcdef";
  const make = (): Ledger =>
    createLedger({
      stateDir,
      environments: defaultOptions(stateDir).environments,
      registry: {
        onChange: changes.on,
        onOpen: openings.on,
        visit: async (orchestrator, use) => use(sessionJobs(orchestrator)),
      },
      projects: { of: projectOf, here: projectOf, sessionsOf: () => [...sessions.keys()] },
      clock,
      log,
    });
  let ledger = make();
  let count = 0;
  const removed = new Set<string>();

  const world = {
    stateDir,
    clock,
    logged,
    projects,
    /** Snapshots that are not there any more. */
    removed,
    get ledger() {
      return ledger;
    },
    /** A job as it is recorded, told to nobody. */
    job(wanted: Wanted, orchestrator = "ses_1"): Job {
      const id = wanted.id ?? `job_${++count}`;
      const job = newJob(
        {
          task: taskOf(wanted),
          failure: null,
          origin: { sessionID: orchestrator, messageID: "msg_1", callID: wanted.call ?? "call_1" },
          parent: wanted.parent ?? null,
        },
        { id, orchestrator, position: count, provider: "local", now: clock.now() + count * MINUTE },
      );
      const at = new Date(job.createdAt).toISOString();
      const source = wanted.source ?? (wanted.command === null ? "reported" : "output");
      const metrics = Object.entries(wanted.metrics ?? {}).map(([name, value]): [string, Metric] => [
        name,
        { value, at, source },
      ]);
      return {
        ...job,
        startedAt: job.createdAt,
        state: wanted.state ?? { kind: "completed", since: job.createdAt + MINUTE, result: "done" },
        base:
          wanted.tree === null ? null : { ...BASE, project: "/home/ada/secret-place", tree: wanted.tree ?? "tree_1" },
        metrics: Object.fromEntries(metrics),
        stopped: wanted.stopped ?? null,
        gpu: wanted.gpu ?? null,
        sandbox: wanted.sandbox ?? job.sandbox,
        modelUsd: wanted.usd ?? 0,
        turns: wanted.turns ?? 0,
      };
    },
    /** Records a job and tells the ledger. */
    add(wanted: Wanted, orchestrator = "ses_1"): Job {
      const job = world.job(wanted, orchestrator);
      const before = jobsOf(orchestrator).get(job.id) ?? null;
      jobsOf(orchestrator).set(job.id, job);
      changes.emit({ sessionJobs: sessionJobs(orchestrator), before, job });
      return job;
    },
    /** Records a job as a process does that dies before it writes the ledger. */
    addUntold(wanted: Wanted, orchestrator = "ses_1"): Job {
      const job = world.job(wanted, orchestrator);
      jobsOf(orchestrator).set(job.id, job);
      return job;
    },
    openSession: (orchestrator = "ses_1") => openings.emit(sessionJobs(orchestrator)),
    async list(request: ListRequest = {}, orchestrator = "ses_1", scope: "project" | "session" = "project") {
      const deps = {
        options: { ledger: { scope } },
        ledger,
        pool: { knowsSnapshot: (id: string) => !removed.has(id) },
        sessionJobs: async (one: string) => sessionJobs(one),
      };
      const board = await listExperiments(deps, orchestrator, request);
      return { board, views: board.entries.map(({ view }) => view), text: renderLeaderboard(board) };
    },
    /** Another process takes the place of this one. */
    async reopen() {
      await ledger.close();
      ledger = make();
    },
    /** @param removes whether the state goes too */
    async end(removes = true) {
      await ledger.close();
      if (removes) rmSync(stateDir, { recursive: true, force: true });
      closed("ledger", stateDir);
    },
  };
  return world;
}

export type LedgerWorld = ReturnType<typeof openLedgerWorld>;

/** A test with a ledger of its own. */
export const withLedger = (body: (world: LedgerWorld) => Promise<void>) => async (): Promise<void> => {
  const world = openLedgerWorld();
  try {
    await body(world);
  } finally {
    await world.end();
  }
};

function taskOf({
  command = "python train.py",
  params = {},
  description = "a try",
  snapshotID,
  from,
  gpu,
  stop,
  measures,
}: Wanted): JobTask {
  const measurement: Measurement | null = measures
    ? {
        benchmark: "eval",
        setting: "clean",
        metric: "loss",
        direction: "min",
        protect: [],
        evaluation: null,
        artifacts: [],
        seed: 1,
        turns: 0,
        ...measures,
      }
    : null;
  return {
    description,
    prompt: command === null ? "the secret prompt" : "",
    agent: command === null ? "sandbox_worker" : "",
    model: null,
    variant: null,
    environment: "default",
    gpu: gpu ?? null,
    snapshotID: snapshotID ?? null,
    source: from,
    skills: [],
    forbidden: [],
    rules: [],
    timeoutMinutes: null,
    maxUsd: null,
    run:
      command === null
        ? null
        : { command, params, metrics: {}, files: [], reuse: false, stop: stop ?? null, measures: measurement },
  };
}
