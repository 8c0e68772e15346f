import type { ProviderName, SandboxPort } from "../../sandboxes/port.ts";
import type { Failure } from "../../shared/error-code.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { Compute } from "./cost.ts";

/*
 * One delegated task, the states it goes through, and the one door to them. Moments are epoch milliseconds.
 * J1  `starting` and `running` name the lease under which this process runs the job; no other state names a lease.
 *     The lease lapses with its process: whoever then opens the session interrupts the job.
 * J2  A new job begins in `initialState` and moves by `transition`; `SessionJobs` refuses any other change of state.
 * J3  `completed`, `failed` and `cancelled` are ends. Only a follow-up leaves them, back to `queued`, so that the first
 *     cause of an end wins.
 * J4  A job enters `running` with a child session and a live sandbox. The sandbox may be lost while the job runs.
 */
export type JobState =
  | { readonly kind: "queued"; readonly since: number }
  | { readonly kind: "starting"; readonly since: number; readonly leaseID: string }
  | { readonly kind: "running"; readonly since: number; readonly leaseID: string }
  | { readonly kind: "interrupted"; readonly since: number }
  | { readonly kind: "completed"; readonly since: number; readonly result: string }
  | { readonly kind: "failed"; readonly since: number; readonly failure: Failure; readonly result?: string | undefined }
  | { readonly kind: "cancelled"; readonly since: number; readonly reason: string | null };

export type JobStateKind = JobState["kind"];
type In<K extends JobStateKind> = Extract<JobState, { kind: K }>;
export type EndedState = In<"completed" | "failed" | "cancelled">;
export type HeldState = In<"starting" | "running">;

/** Where the job's sandbox is. A parked sandbox is a snapshot that a follow-up revives. */
export type JobSandbox =
  | { readonly kind: "none" }
  | { readonly kind: "creating" }
  | { readonly kind: "live"; readonly id: string }
  | { readonly kind: "parked"; readonly snapshotID: string }
  | { readonly kind: "gone" };

/** The task as accepted: defaults filled in, names resolved. */
export interface JobTask {
  readonly description: string;
  readonly prompt: string;
  readonly agent: string;
  /** `provider/model`; null leaves it to the agent, then to the orchestrator. */
  readonly model: string | null;
  readonly environment: string;
  /** GPUs asked for, the environment's included, e.g. `H100:8|H200:8`; null = none. */
  readonly gpu: string | null;
  /** Id of the snapshot it starts from. */
  readonly snapshotID: string | null;
  readonly skills: readonly string[];
  /** Tools that it has not: the user forbids them to its agent, or to the one that started it. */
  readonly forbidden: readonly string[];
  /** Limit of one run; null = the option's. */
  readonly timeoutMinutes: number | null;
  /** Ceiling of all the job costs; null = the session's alone. */
  readonly maxUsd: number | null;
}

export interface TreeUpdate {
  readonly at: number;
  /** Files that were left with conflict markers, as text. */
  readonly conflicts: readonly string[];
  /** Why nothing was changed. */
  readonly problem: string | null;
}

export interface Metric {
  /** JSON has no words for what is no number; these are the contract's. */
  readonly value: number | "NaN" | "Infinity" | "-Infinity";
  readonly step?: number | undefined;
  /** ISO 8601. */
  readonly at: string;
}

export interface Job {
  readonly id: string;
  /** Session that started it; the only one that sees it. */
  readonly orchestrator: string;
  /** Order of creation within the session, from 1. */
  readonly position: number;
  readonly task: JobTask;
  readonly provider: ProviderName;
  readonly createdAt: number;
  /** First time it left the queue. */
  readonly startedAt: number | null;
  readonly state: JobState;
  readonly sandbox: JobSandbox;
  /** The project's files its work began from; null when it began without, or they are not taken yet. */
  readonly base: TreeBase | null;
  /** What its files were brought up to date from, newest first: a sandbox made of an older snapshot has those. */
  readonly formerBases: readonly TreeBase[];
  /** When its files were last brought up to date with the project, and how that went. */
  readonly update: TreeUpdate | null;
  /** What the user or a model should know of how it runs, one sentence each. Those of its base are not repeated here. */
  readonly notes: readonly string[];
  /** GPUs its newest sandbox got, of those asked for; null until it is known. */
  readonly gpu: string | null;
  /** Ports of its newest sandbox that can be reached from outside. */
  readonly ports: readonly SandboxPort[];
  readonly childSession: string | null;
  /** What the job says of itself (`job_report`). */
  readonly status: string | null;
  readonly metrics: Readonly<Record<string, Metric>>;
  readonly tokens: { readonly input: number; readonly output: number };
  /** USD, by the model's configured prices, over all turns. */
  readonly modelUsd: number;
  readonly compute: Compute;
  /** Turns that were prompted. */
  readonly turns: number;
}

/** A wanted state, with what it takes besides the moment and, in `running`, the lease it was started under. */
export type Transition =
  | { readonly kind: "queued" }
  | { readonly kind: "starting"; readonly leaseID: string }
  | { readonly kind: "running" }
  /** The job's OpenCode process ended. */
  | { readonly kind: "interrupted" }
  | { readonly kind: "completed"; readonly result: string }
  /** `result` is the last text of a job that was stopped. */
  | { readonly kind: "failed"; readonly failure: Failure; readonly result?: string | undefined }
  | { readonly kind: "cancelled"; readonly reason: string | null };

/** Which states may follow each state. A job is new before it is recorded. */
const FOLLOWERS: Readonly<Record<JobStateKind | "new", readonly JobStateKind[]>> = {
  new: ["queued", "failed"],
  queued: ["starting", "failed", "cancelled"],
  starting: ["running", "interrupted", "failed", "cancelled"],
  running: ["interrupted", "completed", "failed", "cancelled"],
  interrupted: ["queued", "cancelled"],
  completed: ["queued"],
  failed: ["queued"],
  cancelled: ["queued"],
};

/** A refused task is recorded as a job that has failed, so that it has an id and a code like any other. */
export const initialState = (refusal: Failure | null, now: number): In<"queued" | "failed"> =>
  refusal ? { kind: "failed", since: now, failure: refusal } : { kind: "queued", since: now };

/**
 * The job in another state; the job itself where its present state does not allow that (`isAllowed`).
 * @param condition `leaseID`: only a job that holds this lease moves. An ended job may have been woken, and run under
 * another lease, while its former run still unwinds.
 */
export function transition(
  job: Job,
  to: Transition,
  now: number,
  condition: { readonly leaseID?: string | null } = {},
): Job {
  const held = isHeld(job.state) ? job.state.leaseID : null;
  if (condition.leaseID !== undefined && (held === null || condition.leaseID !== held)) return job;
  const after = { ...job, state: toState(to, held, now) };
  return isAllowed(job, after) ? after : job;
}

/** Whether a job may change from `before`, null for a new job, to `after`. No state follows itself. */
export function isAllowed(before: Job | null, after: Job): boolean {
  const from = before?.state ?? null;
  const to = after.state;
  if (!FOLLOWERS[from?.kind ?? "new"].includes(to.kind)) return false;
  if (to.kind !== "running") return true;
  const keepsLease = from?.kind === "starting" && from.leaseID === to.leaseID;
  return keepsLease && after.childSession !== null && after.sandbox.kind === "live"; // J4
}

function toState(to: Transition, held: string | null, now: number): JobState {
  if (to.kind === "running") return { ...to, since: now, leaseID: held ?? "" };
  if (to.kind !== "failed") return { ...to, since: now };
  const { result = "", ...failed } = to;
  return { ...failed, since: now, ...(result !== "" && { result }) };
}

export const isEnded = (state: JobState): state is EndedState =>
  state.kind === "completed" || state.kind === "failed" || state.kind === "cancelled";

/** Whether the job has a lease (J1). */
export const isHeld = (state: JobState): state is HeldState => state.kind === "starting" || state.kind === "running";

/** The job with these notes besides; one it has already is not repeated. */
export const withNotes = (job: Job, notes: readonly string[]): Job =>
  notes.every((note) => job.notes.includes(note)) ? job : { ...job, notes: [...new Set([...job.notes, ...notes])] };

/** Opens the notes of what could not be done with its sandbox, as long as it is not. */
const UNFINISHED = "Not done yet: ";

/** The job with this, and nothing else, as what is still to be done with its sandbox, and why it is not done. */
export function withUnfinished(job: Job, what: string, cause: unknown): Job {
  const why = cause instanceof Error ? cause.message : String(cause);
  return { ...job, notes: [...withFinished(job).notes, `${UNFINISHED}${what}: ${why}`] };
}

/** The job with nothing left to be done with its sandbox. */
export function withFinished(job: Job): Job {
  const notes = job.notes.filter((note) => !note.startsWith(UNFINISHED));
  return notes.length === job.notes.length ? job : { ...job, notes };
}

/** Opens the note of what the snapshot taken last to keep its files does not have. */
const LACKS = "The newest snapshot of its files is not complete: ";

/** The job with what a snapshot of its files does not have, in place of what the one before did not. */
export function withLeftOut(job: Job, leftOut: readonly string[]): Job {
  const others = job.notes.filter((note) => !note.startsWith(LACKS));
  if (leftOut.length === 0 && others.length === job.notes.length) return job;
  return { ...job, notes: leftOut.length === 0 ? others : [...others, LACKS + leftOut.join(" ")] };
}

/** All there is to know of it: what its files were taken without, and how it runs. */
export const notesOf = ({ base, notes }: Job): readonly string[] => [...new Set([...(base?.notes ?? []), ...notes])];
