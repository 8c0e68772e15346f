import type { Job, TurnAnswer } from "./job.ts";

/** What the turn that was prompted last has said, "" for nothing. */
export interface LastWords {
  /** Its position; null = no turn was prompted. */
  readonly turn: number | null;
  readonly result: string;
}

/** Keeps what a turn said; what was kept of the same turn before is replaced. */
export const withAnswer = (job: Job, answer: TurnAnswer): Job => ({
  ...job,
  answers: [...job.answers.filter(({ turn }) => turn !== answer.turn), answer],
});

/**
 * Adds what a turn had said when it came to rest, which is after its job was recorded as cancelled at `since`. No change
 * to a job that has been woken since.
 */
export function withLastWords(job: Job, since: number, words: LastWords | null): Job {
  const { state } = job;
  if (state.kind !== "cancelled" || state.since !== since || !words?.result || words.result === state.result)
    return job;
  const answers = job.answers.filter(({ turn }) => turn !== words.turn);
  return { ...job, state: { ...state, result: words.result }, answers };
}
