import { runsOf } from "../../core/nested-runs.ts";
import { listExperiments } from "../../jobs/actions/list-experiments.ts";
import type { Runtime } from "../../jobs/runtime.ts";
import type { SessionJobs } from "../../jobs/session/session-jobs.ts";
import { renderExperimentsSummary } from "../../prompt/experiments-summary.ts";
import { renderReminder } from "../../prompt/notice.ts";
import type { Log } from "../../shared/log.ts";
import type { RecordedJobs } from "./recorded-jobs.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

/** What a session that started jobs is told of them when the host gives an occasion. Never rejects: the user goes first. */
export interface JobNews {
  /** Resumes the session's jobs. Returns what a new message of the user's must carry besides; null for nothing. */
  forMessage(sessionID: string, messageID: string): Promise<string | null>;
  /** What a summary that replaces the conversation must keep of the jobs; null for nothing. */
  forSummary(sessionID: string): Promise<string | null>;
}

export interface JobNewsDeps {
  readonly access: Pick<RuntimeAccess, "runtime" | "opened">;
  readonly recorded: Pick<RecordedJobs, "startedBy">;
  readonly log: Log;
}

/** Experiments that a summary names. */
const SUMMARIZED = 40;

export function createJobNews({ access, recorded, log }: JobNewsDeps): JobNews {
  async function unlessFailed(sessionID: string, tell: () => Promise<string | null>): Promise<string | null> {
    try {
      return await tell();
    } catch (error) {
      log("warn", "could not tell a session of its jobs", { sessionID, reason: String(error) });
      return null;
    }
  }
  async function ofJobs(
    sessionID: string,
    tell: (jobs: SessionJobs) => Promise<string | null>,
  ): Promise<string | null> {
    const jobs = await recorded.startedBy(sessionID);
    return jobs && (await tell(jobs));
  }
  /** The list of jobs is not to be lost with what the ledger cannot say. */
  async function ofExperiments(runtime: Runtime, sessionID: string): Promise<string> {
    try {
      return renderExperimentsSummary(await listExperiments(runtime, sessionID, { limit: SUMMARIZED }));
    } catch (error) {
      log("warn", "could not tell a summary of the experiments", { sessionID, reason: String(error) });
      return "";
    }
  }

  /** The runs that a job's agent has started, by the session of that job; null where the session is not a job's. */
  async function ofWorker(sessionID: string): Promise<string | null> {
    const runtime = await access.opened()?.catch(() => null);
    const worker = runtime?.worker(sessionID);
    if (!runtime || !worker) return null;
    const { jobID, sessionJobs } = worker;
    const runs = runsOf(sessionJobs.whole.all(), jobID);
    return runs.length === 0 ? null : renderReminder(runs, runtime.clock.now(), jobID);
  }

  return {
    forMessage: (sessionID, messageID) =>
      unlessFailed(sessionID, () =>
        ofJobs(sessionID, async () => (await access.runtime()).outbox.attach(sessionID, messageID)),
      ),
    forSummary: (sessionID) =>
      unlessFailed(
        sessionID,
        async () => (await ofWorker(sessionID)) ?? (await ofJobs(sessionID, (jobs) => summaryOf(sessionID, jobs))),
      ),
  };

  async function summaryOf(sessionID: string, jobs: SessionJobs): Promise<string | null> {
    if (jobs.all().length === 0) return null;
    const runtime = await access.runtime();
    const experiments = await ofExperiments(runtime, sessionID);
    return [renderReminder(jobs.all(), runtime.clock.now()), experiments].filter((text) => text !== "").join("\n\n");
  }
}
