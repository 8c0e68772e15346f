import type { GpuRequest } from "../../config/gpu.ts";
import type { CreationStep } from "../../sandboxes/creation-steps.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

export interface BurstRequest {
  readonly sessionJobs: SessionJobs;
  readonly jobID: string;
  /** In order of preference. */
  readonly gpus: readonly GpuRequest[];
  /** One line, to name it by. */
  readonly command: string;
  /** The job's own sandbox. */
  readonly here: Sandbox;
  readonly signal: AbortSignal;
  /** Runs work while no tool of the job changes files. */
  readonly exclusively: <T>(work: () => Promise<T>) => Promise<T>;
  /** Told what it waits for, in words; null = for nothing. */
  readonly onWait: (reason: string | null) => void;
  /** What the making of a sandbox waits for, in words; null = for nothing. */
  readonly describeStep: (step: CreationStep, now: number) => string | null;
}
