import type { Job } from "../jobs/job.ts";
import type { Lab } from "../jobs/lab.ts";
import { type JobView, toJobView } from "../views/job-view.ts";

/** Jobs with what is known of them at the moment. */
export function viewJobs(lab: Lab, jobs: readonly Job[]): JobView[] {
  const now = lab.clock.now();
  return jobs.map((job) =>
    toJobView(job, { place: lab.scheduler.place(job.id), live: lab.live.of(job.childSession), now }),
  );
}
