import { isEnded, isHeld, type Job } from "./job.ts";

/** An existing sandbox, and what is known of the job it was made for. */
export interface OrphanFacts {
  readonly sandboxID: string;
  /** Epoch ms; null when the provider does not say. */
  readonly createdAt: number | null;
  /** When it was last recorded for its job, epoch ms: a run that is to take it over is recorded before. null = it is not. */
  readonly recordedAt: number | null;
  /** null = not recorded: its session was deleted, or its records are lost. */
  readonly job: Job | null;
  /** When the live sandbox that the job names was recorded, epoch ms; null = it names none. */
  readonly liveSince: number | null;
  /** When the records of its session were last found damaged, epoch ms; null = never. */
  readonly recordsLostAt: number | null;
  /** Whether a live process runs the job. */
  readonly isLeaseAlive: boolean;
  /** Whether the process that would have parked it is known to be dead. */
  readonly isAbandoned: boolean;
  /** Whether a live process made it, and it costs nothing: maybe for a run that is still queued. Absent = no. */
  readonly mayBeMadeAhead?: boolean;
  /** Whether a live process made it only to read files from a snapshot. */
  readonly isReader: boolean;
  /** Whether a live process builds an environment in it; null = it was not made for that. */
  readonly isBuilding: boolean | null;
  /** Of one for single commands on a GPU: whether its process may be alive. null = it is none. */
  readonly isBurstAlive?: boolean | null;
  readonly parkAfterMs: number;
  /** How long a creation may take, the wait for a GPU included. */
  readonly creationMs: number;
  readonly now: number;
}

/** `park`: its job has ended and no process is left to park it. `end`: nobody needs its files. */
export type OrphanDecision = "keep" | "park" | "end";

/** Shortest grace period for a sandbox that no job names yet: its process may still be creating it. */
const CREATE_GRACE_MS = 10 * 60_000;
/** Longest lifetime of a sandbox that is made to read files. */
export const READ_LIMIT_MS = 60 * 60_000;
/** How long the user can still save files from sandboxes whose records were damaged. */
const LOST_RECORDS_GRACE_MS = 24 * 60 * 60_000;
/** How far the clocks of a provider and of this machine may differ. */
const CLOCK_SKEW_MS = 10_000;
/** How late an ended job's own process may park its sandbox before another process does, if that process may live. */
const PARK_GRACE_MS = 10 * 60_000;

/**
 * What to do with a sandbox. List it before reading its job: whatever a job uses, the job names by then, unless another has
 * taken the sandbox over meanwhile.
 */
export function decideOrphan({ sandboxID, createdAt, job, ...facts }: OrphanFacts): OrphanDecision {
  const { now, isLeaseAlive, isReader, parkAfterMs } = facts;
  if (facts.isBuilding !== null) return facts.isBuilding ? "keep" : "end"; // there is nothing of a job's in it
  if (!job) {
    const { recordsLostAt } = facts;
    if (recordsLostAt === null || (createdAt !== null && createdAt > recordsLostAt)) return "end";
    return now - recordsLostAt < LOST_RECORDS_GRACE_MS ? "keep" : "end";
  }
  if (isReader && (createdAt === null || now - createdAt < READ_LIMIT_MS)) return "keep";
  const { isBurstAlive = null } = facts;
  // Its process ends it with its job, and nobody else uses it.
  if (isBurstAlive !== null) return isBurstAlive && isHeld(job.state) && isLeaseAlive ? "keep" : "end";
  const isNamed = job.sandbox.kind === "live" && job.sandbox.id === sandboxID;
  if (isNamed && isEnded(job.state) && facts.isAbandoned) return "park"; // it may cost money by the second
  if (isNamed && isEnded(job.state)) return now - job.state.since > parkAfterMs + PARK_GRACE_MS ? "park" : "keep";
  if (isNamed) return "keep"; // interrupted jobs included: they go on in it
  // A job creates one sandbox after another: what is older than the one it got was left by a process that died.
  const isLeftBehind = createdAt !== null && facts.liveSince !== null && createdAt < facts.liveSince - CLOCK_SKEW_MS;
  const isWaitedFor = job.state.kind === "queued" || (job.state.kind === "starting" && isLeaseAlive);
  if (facts.mayBeMadeAhead && isWaitedFor && !isLeftBehind) return "keep";
  const mayBeInCreation = isHeld(job.state) && isLeaseAlive && !isLeftBehind;
  const graceMs = Math.max(CREATE_GRACE_MS, facts.creationMs);
  const isNew = createdAt === null || now - Math.max(createdAt, facts.recordedAt ?? 0) < graceMs;
  return mayBeInCreation && isNew ? "keep" : "end";
}
