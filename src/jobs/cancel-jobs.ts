import { findJobs } from "./find-jobs.ts";
import { cancel, isEnded, type Job } from "./job.ts";
import type { Lab } from "./lab.ts";

/**
 * Ends jobs now: the state first, then the model's turn, the sandbox (its files are kept in a snapshot) and the lease.
 * Jobs that have ended are left as they are.
 * @throws LabError `not_found` when one of them is not this session's; none is cancelled then
 */
export async function cancelJobs(
  lab: Lab,
  orchestrator: string,
  ids: readonly string[],
  reason: string | null,
): Promise<Job[]> {
  const book = await lab.book(orchestrator);
  const jobs = findJobs(book, ids);
  await Promise.all(
    jobs.map(async ({ id }) => {
      book.update(id, (job) =>
        isEnded(job.state) ? job : { ...job, state: cancel(job.state, reason, lab.clock.now()) },
      );
      lab.scheduler.remove(id);
      await lab.runner.stop(id);
      await lab.keeper.park(book, id);
    }),
  );
  return findJobs(book, ids);
}
