import { portNotes } from "./environment-notes.ts";
import type { Briefing, Job } from "./job.ts";
import { notesOf } from "./job-notes.ts";

/** What an agent is told of its sandbox. */
export interface BriefedSandbox {
  readonly workdir: string;
  /** null = not known before the sandbox is there. */
  readonly home: string | null;
  readonly notes: readonly string[];
}

/** All that an agent should know about how its job runs now. */
const knowable = (job: Job, sandbox: BriefedSandbox): string[] => [
  ...new Set([...sandbox.notes, ...notesOf(job), ...portNotes(job.ports)]),
];

/**
 * The job with the facts that its system text keeps from now on.
 * @param hasProject whether its sandbox has the project's files, or will have them
 */
export function withBriefing(job: Job, sandbox: BriefedSandbox, hasProject = job.base !== null): Job {
  if (job.briefing) return job;
  const notes = knowable(job, sandbox);
  const { workdir, home } = sandbox;
  return { ...job, briefing: { workdir, home, notes, inText: notes.length, hasProject } };
}

/** What has changed since the agent was told: notes, and the place of its files. */
export interface News {
  readonly notes: readonly string[];
  /** null = they are where the system text says. */
  readonly place: { readonly workdir: string; readonly home: string | null } | null;
}

export function newsFor(job: Job, sandbox: BriefedSandbox): News {
  const { briefing } = job;
  if (!briefing) return { notes: [], place: null };
  const { workdir, home } = sandbox;
  // A text without the home says how to find it.
  const isOtherHome = home !== briefing.home && home !== null && briefing.home !== null;
  const isMoved = workdir !== briefing.workdir || isOtherHome;
  return {
    notes: knowable(job, sandbox).filter((note) => !briefing.notes.includes(note)),
    place: isMoved ? { workdir, home } : null,
  };
}

/** The job whose agent has been told of these notes. */
export const withTold = (job: Job, notes: readonly string[]): Job =>
  job.briefing && notes.length > 0 ? { ...job, briefing: tell(job.briefing, notes) } : job;

const tell = (briefing: Briefing, notes: readonly string[]): Briefing => ({
  ...briefing,
  notes: [...briefing.notes, ...notes],
});
