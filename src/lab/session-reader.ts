import type { Job } from "../core/job.ts";
import type { SeriesRecord } from "../core/series.ts";
import type { Database } from "../jobs/store/database.ts";
import type { Driver } from "../jobs/store/driver.ts";
import {
  type LivePart,
  parsePart,
  readParts,
  readRequest,
  readWatched,
  type WatchTime,
} from "../jobs/store/live-store.ts";
import { createJobReader } from "../jobs/store/read-jobs.ts";
import { anyRow, type RowReader } from "../jobs/store/rows.ts";
import { createSeriesStore } from "../jobs/store/series-store.ts";
import { SESSION_VERSION, sessionFile } from "../jobs/store/session-store.ts";
import { openStateFile } from "../jobs/store/state-file.ts";
import { toReason } from "../jobs/store/unusable.ts";

/** What a session's file says. */
export interface SessionReading {
  readonly jobs: readonly Job[];
  /** What the processes say that had it in use last. */
  readonly parts: readonly ReadPart[];
  readonly problems: readonly string[];
}

export interface ReadPart {
  readonly owner: string;
  /** null = another version wrote it. */
  readonly part: LivePart | null;
}

export interface SessionReader {
  /** The same object as before while nothing has changed that is to be shown; null where there is no file. Never throws. */
  read(): SessionReading | null;
  /** When a process wrote its part last, epoch ms; as of the last reading. */
  writtenAt(owner: string): number;
  /** As of the last reading. */
  watched(): WatchTime | null;
  /** Differs where anything in the file may have changed. */
  version(): string;
  /** Whoever has taken a request, and the answer; null = there is no such request, or it cannot be read. */
  request(id: string): { readonly owner: string | null; readonly answer: string | null } | null;
  /** For what views tell the processes that have it in use. @throws what SQLite throws */
  write(work: (database: Pick<Database, "run">) => void): void;
  /** Never throws: empty where it cannot be read. */
  series(jobID: string): ReadonlyMap<string, SeriesRecord>;
  close(): void;
}

const NO_PARTS: readonly ReadPart[] = [];

/** @throws Error for what is not a session id */
export function openSessionReader(driver: Driver, stateDir: string, session: string): SessionReader {
  const file = openStateFile(driver, sessionFile(stateDir, session), SESSION_VERSION);
  const readJobs = createJobReader();
  const live = createLiveReader();
  let version: string | null = null;
  let last: SessionReading | null = null;

  function readAnew(): SessionReading | null {
    try {
      return file.read((rows) => {
        const { jobs, broken } = readJobs(rows);
        const problems = broken.map((why) => `A job of this session is not shown: ${why}.`);
        return unlessSame({ jobs, parts: live.read(rows), problems });
      });
    } catch (error) {
      return unlessSame({ jobs: last?.jobs ?? [], parts: NO_PARTS, problems: [toReason(error)] });
    }
  }

  function unlessSame(reading: SessionReading): SessionReading {
    const isSame = last?.jobs === reading.jobs && last.parts === reading.parts;
    return last && isSame && last.problems.join() === reading.problems.join() ? last : reading;
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
    writtenAt: live.writtenAt,
    watched: live.watched,
    version: file.version,
    request(id) {
      try {
        return file.read((rows) => readRequest(rows, id));
      } catch {
        return null;
      }
    },
    write: file.write,
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

function createLiveReader() {
  let stored = "[]";
  let parts = NO_PARTS;
  let times = new Map<string, number>();
  let watched: WatchTime | null = null;
  return {
    read(rows: RowReader): readonly ReadPart[] {
      // Files that only earlier versions had open lack the tables.
      if (!rows.get(anyRow, "SELECT 1 FROM sqlite_schema WHERE name = 'requests'")) return NO_PARTS;
      watched = readWatched(rows);
      const found = readParts(rows);
      times = new Map(found.map(({ owner, at }) => [owner, at]));
      const now = JSON.stringify(found.map(({ owner, text }) => [owner, text]));
      if (now !== stored) {
        stored = now;
        parts = found.length === 0 ? NO_PARTS : found.map(({ owner, text }) => ({ owner, part: parsePart(text) }));
      }
      return parts;
    },
    writtenAt: (owner: string): number => times.get(owner) ?? 0,
    watched: () => watched,
  };
}
