import { isEnded, isHeld, type Job } from "./job.ts";

/** A sandbox that exists, and what is recorded of whom it belongs to. */
export interface OrphanFacts {
  readonly sandboxID: string;
  /** Epoch ms; null when the provider does not say. */
  readonly createdAt: number | null;
  /** null: there is no such job any more, its session was deleted, or what was recorded of it is lost. */
  readonly job: Job | null;
  /** When the records of its session were last found damaged, epoch ms; null = never. */
  readonly lostAt: number | null;
  /** Whether a living process runs the job. */
  readonly isLeaseAlive: boolean;
  /** Whether it was made to read files, by a process that lives. */
  readonly isRead: boolean;
  readonly parkAfterMs: number;
  readonly now: number;
}

/** `park`: its job has ended and nobody is left to give it up. `end`: nobody needs what is in it. */
export type OrphanDecision = "keep" | "park" | "end";

/** A sandbox that a job at work does not name yet may be on its way to it for so long. */
const CREATE_GRACE_MS = 10 * 60_000;
/** Time enough for the largest reading of files. */
export const READ_LIMIT_MS = 60 * 60_000;
/** For how long the user can save what is in the sandboxes of jobs whose records were damaged. */
const LOST_MS = 24 * 60 * 60_000;
/** So long after its time an ended job's own process has had every chance to park its sandbox. */
const PARK_GRACE_MS = 10 * 60_000;

/** What becomes of a sandbox. It must have been listed before its job was read: a job names what it uses. */
export function decideOrphan({ sandboxID, createdAt, job, ...facts }: OrphanFacts): OrphanDecision {
  const { now, isLeaseAlive, isRead, parkAfterMs } = facts;
  if (!job) {
    const mayBeLost = facts.lostAt !== null && (createdAt === null || createdAt <= facts.lostAt);
    return mayBeLost && now - (facts.lostAt ?? now) < LOST_MS ? "keep" : "end";
  }
  if (isRead && (createdAt === null || now - createdAt < READ_LIMIT_MS)) return "keep";
  const isNamed = job.sandbox.kind === "live" && job.sandbox.id === sandboxID;
  if (isNamed && isEnded(job.state)) return now - job.state.since > parkAfterMs + PARK_GRACE_MS ? "park" : "keep";
  if (isNamed) return "keep"; // also of interrupted jobs: they go on in it
  const mayBeMade = isHeld(job.state) && isLeaseAlive;
  return mayBeMade && (createdAt === null || now - createdAt < CREATE_GRACE_MS) ? "keep" : "end";
}
