import { isEnded, type Job } from "./job.ts";
import type { Notice } from "./notice.ts";

/** Whether a job's agent started it. */
export const isNested = (job: Job | undefined): boolean => job !== undefined && job.startedBy !== null;

/**
 * Parts the notices of a session. Ends of runs that a job started are told to that job, in answers of its own calls; once
 * it has ended, it is too late for them, and its own notice counts them.
 * @returns `notices`: of which the orchestrator's outbox takes care
 */
export function forOrchestrator(
  notices: readonly Notice[],
  find: (jobID: string) => Job | undefined,
): { readonly notices: readonly Notice[]; readonly obsolete: readonly Notice[] } {
  const isTooLate = ({ startedBy }: Job) => {
    const starter = startedBy === null ? undefined : find(startedBy);
    return startedBy !== null && (!starter || isEnded(starter.state));
  };
  return {
    notices: notices.filter(({ job, delivery }) => !isNested(job) || (delivery !== null && !isTooLate(job))),
    obsolete: notices.filter(({ job }) => isTooLate(job)),
  };
}
