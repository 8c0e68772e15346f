import type { Spend } from "../core/budget.ts";
import type { JobView, SnapshotView } from "./job-view.ts";

/** The jobs of a session with all that views show around them. */
export interface LabView {
  /** Id of the orchestrator's session. */
  readonly session: string;
  /** When this was read, ISO 8601. */
  readonly at: string;
  /**
   * Whether an OpenCode process has the session in use: only then do views know what running jobs do at the moment and
   * what queued ones wait for, and only then can anything be asked for.
   */
  readonly isLive: boolean;
  /** In the order in which they were started. */
  readonly jobs: readonly JobView[];
  readonly snapshots: readonly SnapshotView[];
  readonly pool: PoolView;
  readonly spend: SpendView;
  /** What is not kept at present, was lost or could not be read, in sentences. */
  readonly problems: readonly string[];
}

/** Slots and GPUs of all sessions that share the state directory. */
export interface PoolView {
  readonly running: number;
  readonly queued: number;
  /** null = not known, because no process has the session in use. */
  readonly maxRunning: number | null;
  /** By type; `total` is over all of them. */
  readonly gpus: Readonly<Record<string, { readonly used: number; readonly limit: number | null }>>;
}

export interface SpendView extends Spend {
  /** The session's ceiling; null = none, or not known. */
  readonly budgetUsd: number | null;
  /** What the live sandboxes cost now, USD an hour. */
  readonly usdPerHour: number;
}

/** Something that a view asks of the process that has the session in use. */
export type LabRequest =
  | { readonly kind: "cancel"; readonly jobs: readonly string[] }
  | { readonly kind: "message"; readonly job: string; readonly text: string }
  | { readonly kind: "collect"; readonly job: string; readonly mode: "branch" | "patch" | "files" }
  | { readonly kind: "snapshot"; readonly job: string; readonly label: string | null }
  /** The newest lines of what the job's command prints; empty where none runs, or it has printed nothing. */
  | { readonly kind: "output"; readonly job: string };

export type LabAnswer =
  /** @property text a sentence on what was done */
  | { readonly kind: "done"; readonly text: string }
  | { readonly kind: "refused"; readonly code: string; readonly message: string };
