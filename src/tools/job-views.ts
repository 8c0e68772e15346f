import type { Job } from "../core/job.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { type JobView, toJobView } from "../views/job-view.ts";

/** Views of jobs as they are now: place in the queue, running tool, pending requests. */
export function viewJobs(runtime: Runtime, jobs: readonly Job[]): JobView[] {
  const now = runtime.clock.now();
  const places = runtime.scheduler.places();
  return jobs.map((job) =>
    toJobView(job, {
      place: places.get(job.id) ?? null,
      live: { ...runtime.activity.of(job.childSession), line: runtime.activity.lineOf(job.id) },
      creating: runtime.lifecycle.creating(job.id),
      pendingSince: runtime.lifecycle.pendingSince(job.id),
      now,
    }),
  );
}

/** Characters of all results in an answer's metadata, which the host stores and sends to its clients. */
const RESULTS_LIMIT = 1_000_000;

/** The jobs as an answer's metadata has them: of very many long results, their beginnings. */
export function toMetadata(jobs: readonly JobView[]): JobView[] {
  const each = Math.floor(RESULTS_LIMIT / Math.max(1, jobs.length));
  return jobs.map((job) => {
    const { result } = job;
    if (result === undefined || result.length <= each) return job;
    return { ...job, result: `${result.slice(0, each)}… [${result.length - each} characters more]` };
  });
}
