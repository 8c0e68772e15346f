import type { ProviderName } from "../config/provider-names.ts";
import type { SandboxPort } from "../sandboxes/port.ts";
import type { Failure } from "../shared/error-code.ts";
import type { TreeBase } from "../workspace/project/capture-tree.ts";
import type { Burst, GpuSpan } from "./burst-state.ts";
import type { Compute } from "./cost.ts";
import type { GpuUse } from "./gpu-use.ts";
import type { GpuWait } from "./gpu-wait.ts";
import type { JobTask } from "./job-task.ts";
import type { MetricSource, MetricValue, Stopped } from "./run-task.ts";
import type { SandboxLoss } from "./sandbox-loss.ts";
import type { Tokens } from "./tokens.ts";
import type { TreeUpdate } from "./tree-update.ts";

/*
 * One delegated task, the states it goes through, and the only function that changes them. Times are epoch milliseconds.
 * J1  `starting` and `running` name the lease under which a process runs the job; no other state names a lease. The
 *     lease lapses with that process: whoever then opens the session interrupts the job. A job that finds no GPU free goes
 *     from `starting` back to its place in the queue.
 * J2  A new job begins in `initialState` and moves by `transition`; `SessionJobs` refuses any other change of state.
 * J3  `completed`, `failed` and `cancelled` are ends. Only a follow-up leaves them, back to `queued`, so that the first
 *     cause of an end wins.
 * J4  A job enters `running` with a live sandbox, and an agent's with a child session. The sandbox may be lost while it
 *     runs. The model of an agent may work already while the job is `starting`.
 */
export type JobState =
  | { readonly kind: "queued"; readonly since: number }
  /** `queuedSince`: its place in the queue, to which it returns if no GPU is free. */
  | {
      readonly kind: "starting";
      readonly since: number;
      readonly leaseID: string;
      readonly queuedSince?: number | undefined;
    }
  | { readonly kind: "running"; readonly since: number; readonly leaseID: string }
  | { readonly kind: "interrupted"; readonly since: number }
  | { readonly kind: "completed"; readonly since: number; readonly result: string }
  | { readonly kind: "failed"; readonly since: number; readonly failure: Failure; readonly result?: string | undefined }
  | {
      readonly kind: "cancelled";
      readonly since: number;
      readonly reason: string | null;
      readonly result?: string | undefined;
    };

export type JobStateKind = JobState["kind"];
type In<K extends JobStateKind> = Extract<JobState, { kind: K }>;
export type EndedState = In<"completed" | "failed" | "cancelled">;
export type HeldState = In<"starting" | "running">;

/** What has become of the job's sandbox. A parked sandbox is a snapshot that a follow-up revives. */
export type JobSandbox =
  | { readonly kind: "none" }
  | { readonly kind: "creating" }
  | { readonly kind: "live"; readonly id: string }
  | { readonly kind: "parked"; readonly snapshotID: string }
  | { readonly kind: "gone" };

/** A file that the host gives to every agent as instructions. */
export interface Instruction {
  /** Path in the project, or a description; nothing that tells of the user's machine. */
  readonly name: string;
  readonly text: string;
}

/** What a job gets besides its task, as it was when the job was started. */
export interface GivenFiles {
  readonly instructions: readonly Instruction[];
  /** Message of the orchestrator's session whose images go with the first prompt; null = none do. */
  readonly imagesFrom: string | null;
}

export const NOTHING_GIVEN: GivenFiles = { instructions: [], imagesFrom: null };
/** The facts in a job's system text. They stay as they were at its first prompt, because that text must not change. */
export interface Briefing {
  readonly workdir: string;
  /** null = it was not known yet. */
  readonly home: string | null;
  /** Whether the text says that the project's files are there. Absent = an earlier version wrote it: they are if the job has a base. */
  readonly hasProject?: boolean | undefined;
  /** Notes that the job has been told of, in the text or later in a prompt. The first `inText` are in the text. */
  readonly notes: readonly string[];
  readonly inText: number;
}

export interface Metric {
  readonly value: MetricValue;
  readonly step?: number | undefined;
  /** ISO 8601. */
  readonly at: string;
  readonly source: MetricSource;
  /** Of a measured one: how many turns the job had had then. */
  readonly turns?: number | undefined;
}

/** What an earlier turn said, kept until the end of its job tells it. */
export interface TurnAnswer {
  /** Position of the turn, starting at 1. */
  readonly turn: number;
  readonly text: string;
  /** Why the turn did not end by itself; null = it did. */
  readonly problem: string | null;
}

/** The call of a tool by which a job was started. */
export interface JobOrigin {
  readonly sessionID: string;
  readonly messageID: string;
  readonly callID: string;
}

export interface StartedProcess {
  readonly id: string;
  readonly command: string;
  /** File of the sandbox with its output; null = none is kept. */
  readonly log: string | null;
  readonly sandboxID: string;
  /** Of a run's command: its job's `attempts` then, and whether OpenCode stopped it because it reloaded or ended. */
  readonly attempt?: number | undefined;
  readonly stopped?: boolean | undefined;
}

export interface Job {
  readonly id: string;
  /** Session that keeps the job: the one that started it, or the user's own session above that one. */
  readonly orchestrator: string;
  /** null for a job of an earlier version. */
  readonly origin: JobOrigin | null;
  /** The job whose files it started from; null = none. */
  readonly parent: string | null;
  /** The job whose agent started it; null = the orchestrator did. */
  readonly startedBy: string | null;
  /** Order of creation within the session, starting at 1. */
  readonly position: number;
  readonly task: JobTask;
  readonly provider: ProviderName;
  readonly createdAt: number;
  /** When it first left the queue. */
  readonly startedAt: number | null;
  /** When its model first replied, and its first command began. Absent = not yet, or an earlier version did not record it. */
  readonly firstReplyAt?: number | undefined;
  readonly firstCommandAt?: number | undefined;
  readonly state: JobState;
  readonly sandbox: JobSandbox;
  /** How often it has been tried: once more for each sandbox that was lost under it. A message that wakes it begins anew. */
  readonly attempts: number;
  readonly loss: SandboxLoss | null;
  /** What it fails with as soon as its files are kept: it is being stopped. Absent or null = it is not. */
  readonly stopFailure?: Failure | null | undefined;
  /** The project's files that the job's work is based on; null when it has none, or they have not been captured yet. */
  readonly base: TreeBase | null;
  /** Earlier bases, newest first: a sandbox revived from an older snapshot still has one of these. */
  readonly formerBases: readonly TreeBase[];
  /** The latest attempt to bring its files up to date with the project. */
  readonly update: TreeUpdate | null;
  readonly given: GivenFiles;
  /** null until its first prompt. */
  readonly briefing: Briefing | null;
  /** What the user or a model should know about how the job runs, one sentence each. The notes of `base` come on top. */
  readonly notes: readonly string[];
  /** GPUs that its newest sandbox was granted; null = none, or not known yet. */
  readonly gpu: string | null;
  /** Its wait for a GPU that its provider does not have free; null = it does not wait, or not yet. */
  readonly gpuWait: GpuWait | null;
  /** What the GPUs of its newest sandbox report to be, e.g. "NVIDIA H200"; empty = none, or not known. */
  readonly devices: readonly string[];
  /** How busy its GPUs were. Absent = it had none yet, or an earlier version did not measure it. */
  readonly gpuUse?: GpuUse | undefined;
  /** The GPU that its commands have, or wait for, in a second sandbox. `formerBursts`: when former ones were held. */
  readonly burst?: Burst | null | undefined;
  readonly formerBursts?: readonly GpuSpan[] | undefined;
  /** Ports of its newest sandbox that are reachable from outside. */
  readonly ports: readonly SandboxPort[];
  readonly childSession: string | null;
  /** The newest commands that its model started in the background, ended ones too; oldest first. */
  readonly processes: readonly StartedProcess[];
  /** Latest status text that the job reported (`job_report`). */
  readonly status: string | null;
  /** The latest value of each. */
  readonly metrics: Readonly<Record<string, Metric>>;
  /** Of a run's command; null = it has not ended by itself. */
  readonly exitCode: number | null;
  /** Why early stopping ended it; null = it did not. */
  readonly stopped: Stopped | null;
  readonly tokens: Tokens;
  /** Cost of the model over all turns, USD, by the host's prices. */
  readonly modelUsd: number;
  readonly compute: Compute;
  /** What the turns since its last end said, in order, but for the turn whose text is the result of its end. */
  readonly answers: readonly TurnAnswer[];
  /** Number of turns prompted so far; repeating a prompt does not add one. */
  readonly turns: number;
}

/** A requested change of state. The time is added, and in `running` the lease that the job was started under. */
export type Transition =
  | { readonly kind: "queued" }
  | { readonly kind: "starting"; readonly leaseID: string }
  | { readonly kind: "running" }
  /** The OpenCode process that ran the job has ended. */
  | { readonly kind: "interrupted" }
  | ({ readonly kind: "completed"; readonly result: string } & OfTurn)
  /** `result`: what a job that was stopped had said. */
  | ({ readonly kind: "failed"; readonly failure: Failure; readonly result?: string | undefined } & OfTurn)
  | ({ readonly kind: "cancelled"; readonly reason: string | null; readonly result?: string | undefined } & OfTurn);

interface OfTurn {
  /** Position of the turn that the result is from. */
  readonly turn?: number | null;
}

/** Which states may follow each state. `new`: the job has not been recorded yet. */
const ALLOWED_TRANSITIONS: Readonly<Record<JobStateKind | "new", readonly JobStateKind[]>> = {
  new: ["queued", "failed"],
  queued: ["starting", "failed", "cancelled"],
  starting: ["queued", "running", "interrupted", "failed", "cancelled"],
  running: ["interrupted", "completed", "failed", "cancelled"],
  interrupted: ["queued", "cancelled"],
  completed: ["queued"],
  failed: ["queued"],
  cancelled: ["queued"],
};

/** A refused task is recorded as a failed job, so that it has an id and an error code like any other. */
export const initialState = (refusal: Failure | null, now: number): In<"queued" | "failed"> =>
  refusal ? { kind: "failed", since: now, failure: refusal } : { kind: "queued", since: now };

/**
 * Moves a job to another state.
 * @param condition with `leaseID`, only a job that holds this lease is moved: while an execution still unwinds, its job may have
 * been ended, woken and started under another lease
 * @returns the job unchanged where the move is not allowed
 */
export function transition(
  job: Job,
  to: Transition,
  now: number,
  condition: { readonly leaseID?: string | null } = {},
): Job {
  const held = isHeld(job.state) ? job.state.leaseID : null;
  if (condition.leaseID !== undefined && (held === null || condition.leaseID !== held)) return job;
  const isStopOver = job.stopFailure != null && to.kind !== "running";
  const after = {
    ...job,
    ...(isStopOver && { stopFailure: null }),
    state: toState(job.state, to, held, now),
    ...historyAfter(job, to),
  };
  return to.kind !== job.state.kind && isAllowedChange(job, after) ? after : job;
}

/** Whether a change of state from `before` (null = new job) to `after` is allowed. */
export function isAllowedChange(before: Job | null, after: Job): boolean {
  const from = before?.state ?? null;
  const to = after.state;
  if (from?.kind === "cancelled" && to.kind === "cancelled") return from.since === to.since; // `withLastWords`
  if (!ALLOWED_TRANSITIONS[from?.kind ?? "new"].includes(to.kind)) return false;
  if (to.kind !== "running") return true;
  const keepsLease = from?.kind === "starting" && from.leaseID === to.leaseID;
  const hasWorker = after.task.run !== null || after.childSession !== null;
  return keepsLease && hasWorker && after.sandbox.kind === "live"; // J4
}

/** The end of a job tells its answers; a woken one collects them, is tried and waits for a GPU anew. */
function historyAfter({ state, answers }: Job, to: Transition): Partial<Job> {
  if (to.kind === "queued" && isEnded(state)) return { answers: [], attempts: 1, gpuWait: null };
  return "turn" in to ? { answers: answers.filter(({ turn }) => turn !== to.turn) } : {};
}

function toState(from: JobState, to: Transition, held: string | null, now: number): JobState {
  if (to.kind === "running") return { ...to, since: now, leaseID: held ?? "" };
  if (to.kind === "starting") return { ...to, since: now, ...(from.kind === "queued" && { queuedSince: from.since }) };
  if (to.kind === "queued") return { ...to, since: (from.kind === "starting" ? from.queuedSince : null) ?? now };
  if (to.kind === "completed") return { kind: to.kind, since: now, result: to.result };
  if (to.kind !== "failed" && to.kind !== "cancelled") return { ...to, since: now };
  const { result = "", turn: _, ...end } = to;
  return { ...end, since: now, ...(result !== "" && { result }) };
}

export const isEnded = (state: JobState): state is EndedState =>
  state.kind === "completed" || state.kind === "failed" || state.kind === "cancelled";

/** Whether the job has a lease (J1). */
export const isHeld = (state: JobState): state is HeldState => state.kind === "starting" || state.kind === "running";
