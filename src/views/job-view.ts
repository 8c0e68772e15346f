import { gpusOf } from "../config/gpu.ts";
import { type Activity, type Doing, NOT_KNOWN } from "../core/activity.ts";
import { computeUsd } from "../core/cost.ts";
import { describeStop, STOPPED_EARLY } from "../core/early-stopping.ts";
import { describeGpuWait, inWords } from "../core/gpu-wait.ts";
import { isEnded, type Job, type TurnAnswer } from "../core/job.ts";
import { notesOf } from "../core/job-notes.ts";
import { outdatedNotes } from "../core/measured-job.ts";
import { REPEATS_SHOWN } from "../core/repeats.ts";
import type { Params, Stopped } from "../core/run-task.ts";
import { lossReason } from "../core/sandbox-loss.ts";
import type { SnapshotRecord } from "../core/snapshot-record.ts";
import type { TreeUpdate } from "../core/tree-update.ts";
import type { CreationStep } from "../sandboxes/creation-steps.ts";
import { oneLine } from "../shared/plain-text.ts";
import { type GpuUseView, toGpuUseView } from "./gpu-use-view.ts";
import { type JobGpuView, toGpu } from "./job-gpu-view.ts";

/**
 * A job as the model, the user and every view see it. Field names are the public contract's. Fields that clients show in
 * a line are one line without invisible characters. The result and file names are exactly as the job gave them, so whoever
 * shows them must make them safe.
 */
export interface JobView extends JobGpuView {
  readonly id: string;
  /** An agent works with a model; a run is a command without one. */
  readonly kind: "agent" | "run";
  readonly description: string;
  readonly state: Job["state"]["kind"];
  /** What the job waits for, what delays it, or that it was stopped early. */
  readonly reason?: string;
  readonly queuePosition?: number;
  /** Empty for a run. */
  readonly agent: string;
  readonly model?: string;
  readonly variant?: string;
  readonly environment: string;
  readonly provider: string;
  /** How busy its GPUs were, as far as it was measured. Absent = it had none, or nobody looked. */
  readonly gpuUse?: GpuUseView;
  readonly sessionID?: string;
  readonly sandboxID?: string;
  readonly sandbox: Job["sandbox"]["kind"];
  readonly tool?: string;
  /** The command that it runs, or that its tool runs: its first line. */
  readonly command?: string;
  /** The newest line that its command has printed, as far as known. */
  readonly line?: string;
  readonly status?: string;
  /** The latest value of each, as far as known while it runs. */
  readonly metrics: Job["metrics"];
  /** The run's combination of its task's matrix. */
  readonly params?: Params;
  /** The job whose files it started from. */
  readonly parent?: string;
  /** The job whose agent started it. */
  readonly startedBy?: string;
  /** How often it has been tried, if more than once: it goes on by itself after the loss of its sandbox. */
  readonly attempts?: number;
  /** How early stopping ended it. */
  readonly stopped?: Stopped;
  readonly turns: number;
  readonly tokens: Job["tokens"];
  /** USD. */
  readonly usd: { readonly model: number; readonly compute: number };
  /** ISO 8601, like the other times. */
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly endedAt?: string;
  readonly elapsedSeconds: number;
  readonly ports?: Job["ports"];
  readonly snapshot?: string;
  /** The last update of its files to the project's newer state: files with conflict markers, or why it failed. */
  readonly update?: { readonly at: string; readonly conflicts: readonly string[]; readonly problem?: string };
  /** Of a run's command. */
  readonly exitCode?: number;
  readonly result?: string;
  readonly error?: { readonly code: string; readonly message: string; readonly retryable: boolean | null };
  /** What the user or the model should know: files that were left out, limits that cannot be kept on this machine. */
  readonly notes: readonly string[];
}

/** A snapshot as the model, the user and every view see it. */
export interface SnapshotView {
  readonly id: string;
  readonly label?: string;
  readonly job: string;
  readonly parent?: string;
  readonly kind: "filesystem" | "directory";
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly provider: string;
  readonly sizeBytes?: number;
}

export interface JobFacts extends Doing {
  /** Epoch ms. */
  readonly now: number;
}

export function toJobView(job: Job, facts: JobFacts): JobView {
  const { place, live, now } = facts;
  const { state, sandbox, task } = job;
  const reason = toReason(job, facts);
  const endedAt = isEnded(state) ? state.since : null;
  const idleSince = state.kind === "interrupted" ? state.since : endedAt;
  return {
    id: job.id,
    kind: task.run === null ? "agent" : "run",
    description: oneLine(task.description, DESCRIPTION_LIMIT),
    state: state.kind,
    ...(reason !== null && { reason: oneLine(reason) }),
    ...(place && state.kind === "queued" && { queuePosition: place.position }),
    agent: task.agent,
    ...(task.model !== null && { model: task.model }),
    ...(task.variant !== null && { variant: task.variant }),
    environment: task.environment,
    provider: job.provider,
    ...toGpu(job),
    ...(job.gpuUse && { gpuUse: toGpuUseView(job, job.gpuUse, now) }),
    ...(job.childSession !== null && { sessionID: job.childSession }),
    ...(sandbox.kind === "live" && { sandboxID: sandbox.id }),
    sandbox: sandbox.kind,
    ...toDoing(job, live),
    metrics: toMetrics(job.metrics),
    ...(task.run && Object.keys(task.run.params).length > 0 && { params: task.run.params }),
    ...(job.parent !== null && { parent: job.parent }),
    ...(job.startedBy !== null && { startedBy: job.startedBy }),
    ...(job.attempts > 1 && { attempts: job.attempts }),
    ...(job.stopped && { stopped: job.stopped }),
    turns: job.turns,
    tokens: job.tokens,
    usd: { model: job.modelUsd, compute: computeUsd(job.compute, now) },
    createdAt: iso(job.createdAt),
    ...(job.startedAt !== null && { startedAt: iso(job.startedAt) }),
    ...(endedAt !== null && { endedAt: iso(endedAt) }),
    // The clock may have been set back meanwhile.
    elapsedSeconds: job.startedAt === null ? 0 : Math.max(0, seconds((idleSince ?? now) - job.startedAt)),
    ...(sandbox.kind === "live" && job.ports.length > 0 && { ports: job.ports }),
    ...(sandbox.kind === "parked" && { snapshot: sandbox.snapshotID }),
    ...(job.update && { update: toUpdate(job.update) }),
    ...(job.exitCode !== null && { exitCode: job.exitCode }),
    ...(state.kind === "completed" && { result: state.result }),
    ...((state.kind === "failed" || state.kind === "cancelled") &&
      state.result !== undefined && { result: state.result }),
    ...(state.kind === "failed" && {
      error: { ...state.failure, message: oneLine(state.failure.message.replaceAll("\n", LINE_MARK), ERROR_LIMIT) },
    }),
    ...(state.kind === "cancelled" && { error: toCancelled(job, state.reason) }),
    notes: [...notesOf(job), ...outdatedNotes(job)].map((note) => oneLine(note, MESSAGE_LIMIT)),
  };
}

/** What it runs now, and its words on that: a run's are the newest line of its output. */
function toDoing({ state, status, task }: Job, live: Activity): Pick<JobView, "tool" | "command" | "line" | "status"> {
  // The model of an agent may work before its sandbox is there.
  const isWorking = state.kind === "running" || (state.kind === "starting" && task.run === null);
  if (!isWorking) return { ...(status !== null && { status: oneLine(status, STATUS_LIMIT) }) };
  const own = task.run?.command.trim().split("\n", 1)[0];
  const [tool, command] = [own ?? live.tool, own ?? live.command ?? null];
  const words = status ?? (own !== undefined && live.line ? live.line : null);
  return {
    ...(tool !== null && { tool: oneLine(tool, NAME_LIMIT) }),
    ...(command !== null && { command: oneLine(command, STATUS_LIMIT) }),
    ...(live.line && { line: oneLine(live.line, STATUS_LIMIT) }),
    ...(words !== null && { status: oneLine(words, STATUS_LIMIT) }),
  };
}

/** A job whose results are told. */
export interface ToldJob extends JobView {
  /** What its earlier turns said that its end tells besides its result. */
  readonly answers?: readonly TurnAnswer[];
}

/** Jobs as they are recorded: for those that have ended nothing else is known. */
export const viewRecords = (jobs: readonly Job[]): ToldJob[] =>
  jobs.map((job) => toTold(job, toJobView(job, { ...NOT_KNOWN, now: job.state.since })));

export const toTold = ({ answers }: Job, view: JobView): ToldJob => ({ ...view, answers });

export function toSnapshotView(snapshot: SnapshotRecord): SnapshotView {
  return {
    id: snapshot.id,
    ...(snapshot.label !== null && { label: snapshot.label }),
    job: snapshot.jobID,
    ...(snapshot.parent !== null && { parent: snapshot.parent }),
    kind: snapshot.kind,
    createdAt: iso(snapshot.createdAt),
    ...(snapshot.expiresAt !== null && { expiresAt: iso(snapshot.expiresAt) }),
    provider: snapshot.provider,
    ...(snapshot.sizeBytes !== null && { sizeBytes: snapshot.sizeBytes }),
  };
}

/** What a job waits for, what delays it, or that early stopping ended it. A delay is reported early, before it is certain that something is wrong. */
function toReason(
  { state, sandbox, loss, gpuWait, task, stopped, burst }: Job,
  { place, live, creating, pendingSince, silentHolder, now }: JobFacts,
): string | null {
  if (state.kind === "queued") return place?.reason ?? null;
  if (state.kind === "interrupted") return "its OpenCode process ended; the job goes on when its session is used again";
  if (silentHolder)
    return `another OpenCode process (pid ${silentHolder}) has this job and does not answer: if it is suspended, continue it (fg), or end it`;
  const step = state.kind === "starting" && creating ? describeStep(creating, now) : null;
  if (step !== null) return step;
  if (state.kind === "starting" && gpuWait?.retryAt && gpuWait.retryAt > now)
    return describeGpuWait(gpusOf(task.gpu), gpuWait, now);
  if (state.kind === "starting" && sandbox.kind === "creating")
    return late("its sandbox has been starting", creating?.since ?? state.since, now);
  if (state.kind === "cancelled" && stopped) return STOPPED_EARLY;
  if (state.kind !== "running") return null;
  if (burst?.reason) return burst.reason;
  if (loss && (loss.files === null || sandbox.kind !== "live")) {
    const pause = gpuWait?.retryAt ? describeGpuWait(gpusOf(task.gpu), gpuWait, now) : null;
    return [lossReason(loss), pause ?? (creating && describeStep(creating, now))].filter(Boolean).join("; ");
  }
  const unanswered = late("its sandbox has not answered", pendingSince, now);
  if (unanswered) return unanswered;
  if (live.retry) {
    const { attempt, nextAt, message } = live.retry;
    return `model retry ${attempt} of ${MODEL_RETRIES}, next in ${seconds(Math.max(0, nextAt - now))} s: ${message}`;
  }
  if (live.repeats && live.repeats.count >= REPEATS_SHOWN)
    return `it has called ${live.repeats.tool} ${live.repeats.count} times in a row with the same arguments and the same answer`;
  return live.tool === null ? late("nothing heard from its model", live.lastActivityAt, now) : null;
}

/** What a creation waits for; null once it is under way, which is short. */
export function describeStep(step: CreationStep, now: number): string | null {
  const waited = inWords(now - step.since);
  switch (step.kind) {
    case "building":
      return `building image${step.line === null ? "" : `: ${oneLine(step.line, LINE_LIMIT)}`} (${waited})`;
    case "setup": {
      const { environment, of, command, line } = step;
      const at = step.step === 0 ? "" : ` (${step.step} of ${of} commands: ${oneLine(command, LINE_LIMIT / 2)})`;
      return `building environment ${oneLine(environment, NAME_LIMIT)}${at}, ${waited}${line ? `: ${oneLine(line, LINE_LIMIT)}` : ""}`;
    }
    case "turn":
      return `waiting for its turn: Modal allows ${step.perSecond} new sandboxes a second`;
    case "limited":
      return `waiting for a limit of the Modal workspace, ${waited}: ${oneLine(step.why, LINE_LIMIT)}`;
    case "waiting":
      return `waiting at Modal for ${step.gpu}, ${waited}`;
    case "booting":
      return null;
  }
}

/** Delays from this length on are reported. */
const LATE_MS = 3_000;

const late = (what: string, since: number | null, now: number): string | null =>
  since === null || now - since < LATE_MS ? null : `${what} for ${Math.floor((now - since) / 1000)} s`;

/** @source OpenCode 1.18.33 retries a model request at most five times */
const MODEL_RETRIES = 5;

/** Longest fields, in characters. Descriptions and statuses are cut to this where they enter; a failure may quote anything. */
const DESCRIPTION_LIMIT = 100;
const STATUS_LIMIT = 300;
const NAME_LIMIT = 64;
const MESSAGE_LIMIT = 2_000;
/** Has room for the end of a log, whose lines stay apart. */
const ERROR_LIMIT = 4_000;
const LINE_LIMIT = 120;
const LINE_MARK = " ⏎ ";

const toMetrics = (metrics: Job["metrics"]): Job["metrics"] =>
  Object.fromEntries(
    Object.entries(metrics).map(([name, { turns: _, ...metric }]) => [oneLine(name, NAME_LIMIT), metric]),
  );

const toUpdate = ({ at, conflicts, problem }: TreeUpdate) => ({
  at: iso(at),
  conflicts,
  ...(problem !== null && { problem: oneLine(problem, MESSAGE_LIMIT) }),
});

/** The message of a job that was cancelled without a reason. */
export const CANCELLED = "cancelled by the orchestrator";

const toCancelled = ({ task, stopped }: Job, reason: string | null) => ({
  code: "cancelled",
  message: stopped
    ? describeStop(stopped, task.run?.stop?.metric ?? "")
    : reason === null
      ? CANCELLED
      : oneLine(reason, MESSAGE_LIMIT),
  retryable: false,
});

const iso = (at: number): string => new Date(at).toISOString();

const seconds = (ms: number): number => Math.round(ms / 100) / 10;
