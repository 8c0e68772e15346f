import type { Job } from "../core/job.ts";
import type { SeriesRecord } from "../core/series.ts";
import type { Driver } from "../jobs/store/driver.ts";
import { createJobReader } from "../jobs/store/read-jobs.ts";
import { createSeriesStore } from "../jobs/store/series-store.ts";
import { SESSION_VERSION, sessionFile } from "../jobs/store/session-store.ts";
import { openStateFile } from "../jobs/store/state-file.ts";
import { toReason } from "../jobs/store/unusable.ts";

/** What a session's file says. */
export interface SessionReading {
  readonly jobs: readonly Job[];
  readonly problems: readonly string[];
}

export interface SessionReader {
  /** The same object as before while nothing has changed; null where there is no file. Never throws. */
  read(): SessionReading | null;
  /** Never throws: empty where it cannot be read. */
  series(jobID: string): ReadonlyMap<string, SeriesRecord>;
  close(): void;
}

/** @throws Error for what is not a session id */
export function openSessionReader(driver: Driver, stateDir: string, session: string): SessionReader {
  const file = openStateFile(driver, sessionFile(stateDir, session), SESSION_VERSION);
  const readJobs = createJobReader();
  let version: string | null = null;
  let last: SessionReading | null = null;

  function readAnew(): SessionReading | null {
    try {
      const found = file.read(readJobs);
      if (found === null) return null;
      const problems = found.broken.map((why) => `A job of this session is not shown: ${why}.`);
      if (last && last.jobs === found.jobs && last.problems.join() === problems.join()) return last;
      return { jobs: found.jobs, problems };
    } catch (error) {
      const problems = [toReason(error)];
      const jobs = last?.jobs ?? [];
      return last?.problems.join() === problems.join() ? last : { jobs, problems };
    }
  }

  return {
    read() {
      const now = file.version();
      if (version !== now) {
        last = readAnew();
        version = now;
      }
      return last;
    },
    series(jobID) {
      try {
        return file.read((database) => createSeriesStore(database).seriesOf(jobID)) ?? new Map();
      } catch {
        return new Map(); // an earlier version kept none; what else is wrong is said with the jobs
      }
    },
    close: file.close,
  };
}
