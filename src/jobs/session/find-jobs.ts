import type { Job } from "../../core/job.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { SessionJobs } from "./session-jobs.ts";

/** Names that are no jobs of the session. */
export class UnknownJobs extends PluginError {
  readonly missing: readonly string[];
  constructor(message: string, missing: readonly string[]) {
    super("not_found", message, { retryable: false });
    this.missing = missing;
  }
}

/**
 * The named jobs, in the order of the names and each once; without names all jobs of the session.
 * @throws UnknownJobs (`not_found`) with the names that are no jobs of this session: jobs of other sessions count as unknown
 */
export function findJobs(sessionJobs: SessionJobs, ids: readonly string[] | undefined): Job[] {
  if (ids === undefined) return [...sessionJobs.all()];
  const unique = [...new Set(ids)];
  const missing = unique.filter((id) => !sessionJobs.get(id));
  if (missing.length > 0) throw new UnknownJobs(describeMissing(sessionJobs, missing), missing);
  return unique.flatMap((id) => sessionJobs.get(id) ?? []);
}

export function findJob(sessionJobs: SessionJobs, id: string): Job {
  const [job] = findJobs(sessionJobs, [id]);
  if (!job) throw new UnknownJobs(describeMissing(sessionJobs, [id]), [id]);
  return job;
}

function describeMissing(sessionJobs: SessionJobs, missing: readonly string[]): string {
  const known = sessionJobs.all().map((job) => job.id);
  const names = missing.slice(0, 5).join(", ");
  const rest = known.length === 0 ? "It has started none yet." : `Its jobs: ${known.slice(-20).join(", ")}.`;
  return `This session has no job ${names}. ${rest}`;
}
