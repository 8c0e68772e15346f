import type { Job } from "../jobs/core/job.ts";
import type { Lab } from "../jobs/runtime.ts";
import type { LivePicture } from "../jobs/execution/session-activity.ts";
import { type JobView, toJobView } from "../views/job-view.ts";

/** Jobs as they ended: nothing is known of them but what is recorded. */
export const viewRecords = (jobs: readonly Job[]): JobView[] =>
  jobs.map((job) => toJobView(job, { place: null, live: NOTHING, unansweredSince: null, now: job.state.since }));

const NOTHING: LivePicture = { tool: null, retry: null, heardAt: null };

/** Jobs with what is known of them at the moment. */
export function viewJobs(lab: Lab, jobs: readonly Job[]): JobView[] {
  const now = lab.clock.now();
  return jobs.map((job) =>
    toJobView(job, {
      place: lab.scheduler.place(job.id),
      live: lab.live.of(job.childSession),
      unansweredSince: lab.keeper.unansweredSince(job.id),
      now,
    }),
  );
}
