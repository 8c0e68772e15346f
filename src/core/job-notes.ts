import type { Job } from "./job.ts";

/** The job with these notes added; notes it has already are not repeated. */
export const withNotes = (job: Job, notes: readonly string[]): Job =>
  notes.every((note) => job.notes.includes(note)) ? job : { ...job, notes: [...new Set([...job.notes, ...notes])] };

/** Opens the note about a step with the job's sandbox that has failed and is still to be done. */
const UNFINISHED = "Not done yet: ";

/** The job with this unfinished step, in place of any other. @param cause why the step failed */
export function withUnfinished(job: Job, what: string, cause: unknown): Job {
  const why = cause instanceof Error ? cause.message : String(cause);
  return { ...job, notes: [...withFinished(job).notes, `${UNFINISHED}${what}: ${why}`] };
}

/** The job without an unfinished step. */
export function withFinished(job: Job): Job {
  const notes = job.notes.filter((note) => !note.startsWith(UNFINISHED));
  return notes.length === job.notes.length ? job : { ...job, notes };
}

/** Opens the note about what the job's newest snapshot lacks. */
const LACKS = "The newest snapshot of its files is not complete: ";

/** The job with a note about what its newest snapshot lacks, in place of the note about an earlier snapshot. */
export function withLeftOut(job: Job, leftOut: readonly string[]): Job {
  const others = job.notes.filter((note) => !note.startsWith(LACKS));
  if (leftOut.length === 0 && others.length === job.notes.length) return job;
  return { ...job, notes: leftOut.length === 0 ? others : [...others, LACKS + leftOut.join(" ")] };
}

/** All notes on the job: how its project's files were taken, and how it runs. */
export const notesOf = ({ base, notes }: Pick<Job, "base" | "notes">): readonly string[] => [
  ...new Set([...(base?.notes ?? []), ...notes]),
];
