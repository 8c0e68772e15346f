import type { Job } from "../../core/job.ts";
import { measuredMetric } from "../../core/measured-job.ts";
import { withMetric } from "../../core/metric-source.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";

/** A measurement that has ended counts for the job whose work it measured. */
export function recordMeasured(sessionJobs: SessionJobs, runID: string): void {
  const run = requireJob(sessionJobs, runID);
  const { measures } = run.task.run ?? {};
  const metric = measures && measuredMetric(run, sessionJobs.all());
  if (!measures || !metric || !sessionJobs.get(measures.jobID)) return;
  sessionJobs.reload(measures.jobID); // another process may have woken it, and runs it now
  sessionJobs.update(measures.jobID, (job) => {
    const metrics = withMetric(job.metrics, measures.metric, metric);
    return metrics === job.metrics ? job : { ...job, metrics };
  });
}

/** Whether a measurement may have ended without that: its process died between the two writes, or the disk was full. */
export function mayBeUnrecorded(sessionJobs: SessionJobs, run: Job): boolean {
  const { measures } = run.task.run ?? {};
  if (!measures || run.state.kind !== "completed") return false;
  const measured = metricOf(run, measures.metric);
  const known = metricOf(sessionJobs.get(measures.jobID), measures.metric);
  return measured !== undefined && (known === undefined || known.at < measured.at);
}

const metricOf = (job: Job | undefined, name: string) =>
  job && Object.hasOwn(job.metrics, name) ? job.metrics[name] : undefined;
