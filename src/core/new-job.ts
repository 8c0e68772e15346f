import type { ProviderName } from "../config/provider-names.ts";
import type { Failure } from "../shared/error-code.ts";
import type { TreeBase } from "../workspace/project/capture-tree.ts";
import { NO_COMPUTE } from "./cost.ts";
import { type GivenFiles, initialState, type Job, type JobOrigin, NOTHING_GIVEN } from "./job.ts";
import type { JobTask } from "./job-task.ts";
import { NO_TOKENS } from "./tokens.ts";

/** A job to be recorded. */
export interface NewJob {
  readonly task: JobTask;
  /** Why it cannot start; null = it can. */
  readonly failure: Failure | null;
  readonly origin: JobOrigin | null;
  readonly parent?: string | null;
  readonly startedBy?: string | null;
  /** Of a job that starts from known files; absent = those of the project now, or of what it starts from. */
  readonly base?: TreeBase | null;
  readonly given?: GivenFiles;
  readonly notes?: readonly string[];
}

/** Where and when a job is recorded. */
interface Recorded {
  readonly id: string;
  readonly orchestrator: string;
  readonly position: number;
  readonly provider: ProviderName;
  readonly now: number;
}

/** A job as it is recorded: queued, or failed where it cannot start. */
export function newJob({ failure, ...wanted }: NewJob, { now, ...recorded }: Recorded): Job {
  return {
    parent: null,
    startedBy: null,
    given: NOTHING_GIVEN,
    notes: [],
    base: null,
    ...wanted,
    ...recorded,
    createdAt: now,
    startedAt: null,
    state: initialState(failure, now),
    sandbox: { kind: "none" },
    attempts: 1,
    loss: null,
    formerBases: [],
    update: null,
    briefing: null,
    gpu: null,
    gpuWait: null,
    devices: [],
    ports: [],
    childSession: null,
    processes: [],
    status: null,
    metrics: {},
    exitCode: null,
    stopped: null,
    tokens: NO_TOKENS,
    answers: [],
    modelUsd: 0,
    compute: NO_COMPUTE,
    turns: 0,
  };
}
