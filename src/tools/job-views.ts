import type { Job } from "../core/job.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { type JobView, toJobView } from "../views/job-view.ts";

/** Views of jobs as they are now: place in the queue, running tool, pending requests. */
export function viewJobs(runtime: Runtime, jobs: readonly Job[]): JobView[] {
  const now = runtime.clock.now();
  return jobs.map((job) =>
    toJobView(job, {
      place: runtime.scheduler.place(job.id),
      live: runtime.activity.of(job.childSession),
      pendingSince: runtime.lifecycle.pendingSince(job.id),
      now,
    }),
  );
}
