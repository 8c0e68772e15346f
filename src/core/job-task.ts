import type { RunTask } from "./run-task.ts";
import type { SubjectRule } from "./subject-rules.ts";
import type { TaskSource } from "./task-source.ts";

/** A task as accepted: with its defaults filled in and its names resolved. */
export interface JobTask {
  readonly description: string;
  readonly prompt: string;
  readonly agent: string;
  /** `provider/model`; null = the default of the agent or the host. */
  readonly model: string | null;
  /** Of the model, such as a degree of reasoning; null = its default. */
  readonly variant: string | null;
  readonly environment: string;
  /** GPUs requested by the task or its environment, in order of preference, e.g. `H100:8|H200:8`; null = none. */
  readonly gpu: string | null;
  /** Snapshot that the job starts from; null = a fresh sandbox. */
  readonly snapshotID: string | null;
  /** What else the job starts from; absent = its environment's image, or the snapshot. */
  readonly source?: TaskSource | undefined;
  readonly skills: readonly string[];
  /** Sandbox tools the job does not get, because the user forbids them to its agent or to the agent that started it. */
  readonly forbidden: readonly string[];
  /** The user's rules for single files and skills. */
  readonly rules: readonly SubjectRule[];
  /** Hard limit of one execution; null = `jobTimeoutMinutes`. */
  readonly timeoutMinutes: number | null;
  /** Ceiling of the job's total cost, USD; null = only the session's budget applies. */
  readonly maxUsd: number | null;
  /** null = an agent does the task; a run has no prompt, agent or model. */
  readonly run: RunTask | null;
}

/** What a task has that asks for nothing. */
export const BARE_TASK: Omit<JobTask, "description" | "environment" | "run"> = {
  prompt: "",
  agent: "",
  model: null,
  variant: null,
  gpu: null,
  snapshotID: null,
  skills: [],
  forbidden: [],
  rules: [],
  timeoutMinutes: null,
  maxUsd: null,
};
