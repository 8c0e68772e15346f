import { dirname, join } from "node:path";
import { z } from "zod";
import type { Job } from "../../core/job.ts";
import type { SeriesRecord } from "../../core/series.ts";
import { type Clock, systemClock } from "../../shared/clock.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import { openDatabase } from "./database.ts";
import { jobRecord, treeBase } from "./job-record.ts";
import { createLiveStore, LIVE_TABLES, type LiveStore } from "./live-store.ts";
import { checkNoticeRows, createNoticeStore, hasEnded, type NoticeStore } from "./notice-store.ts";
import { dataVersion, json, type RowReader } from "./rows.ts";
import { createSeriesStore, SERIES_TABLE, type SeriesStore } from "./series-store.ts";

/** One prompt to a job's child session. The turns of a job run one after another, in order of `position`. */
export interface Turn {
  readonly id: string;
  readonly jobID: string;
  readonly position: number;
  readonly text: string;
  readonly state: "queued" | "running" | "done" | "failed" | "stopped";
  /** Id of its prompt, stored before the prompt is sent; null while queued. */
  readonly messageID: string | null;
  /** State of the project that the job's files are updated to before the prompt; null = they stay as they are. */
  readonly update: TreeBase | null;
}

/** The jobs, turns and notices of one orchestrator session, on disk. Every write is one statement or transaction. */
export interface SessionStore extends SeriesStore {
  jobs(): Job[];
  job(jobID: string): Job | undefined;
  /** Changes when another process has written to the file, or another file has taken its place. */
  version(): string;
  turns(jobID: string): Turn[];
  /** Adds new jobs with their first turns, where they have one: all of them or none. */
  insert(entries: readonly { readonly job: Job; readonly turn: Turn | null }[]): void;
  /** @param series what is new in the series of its metrics */
  saveJob(job: Job, series?: ReadonlyMap<string, SeriesRecord>): void;
  saveTurn(turn: Turn): void;
  /** Writes a job that has just ended, together with the notice of its end. */
  saveEnded(job: Job, series?: ReadonlyMap<string, SeriesRecord>): void;
  readonly notices: Omit<NoticeStore, "add">;
  /** What views in other processes read and ask for. */
  readonly live: LiveStore;
  /** New paths of damaged files that were set aside. */
  damaged(): readonly string[];
  close(): void;
}

/** `events` is not used any more. It stays: processes of an earlier version, which may still run, write every end there. */
const MIGRATIONS = [
  `CREATE TABLE jobs (id TEXT PRIMARY KEY, position INTEGER NOT NULL, state TEXT NOT NULL, record TEXT NOT NULL);
   CREATE TABLE turns (id TEXT PRIMARY KEY, job TEXT NOT NULL REFERENCES jobs(id), position INTEGER NOT NULL,
     state TEXT NOT NULL, message TEXT, text TEXT NOT NULL, UNIQUE (job, position));
   CREATE TABLE events (id INTEGER PRIMARY KEY, job TEXT NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL,
     data TEXT NOT NULL);
   CREATE INDEX events_by_job ON events (job, id)`,
  "CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, job TEXT NOT NULL, delivery TEXT)",
  "ALTER TABLE turns ADD COLUMN up_to TEXT",
];

/** Of the file's tables. */
export const SESSION_VERSION = MIGRATIONS.length;

const jobRow = z.object({ id: z.string(), record: json(jobRecord) }).transform(({ record }): Job => record);

const turnRow = z
  .object({
    id: z.string(),
    job: z.string(),
    position: z.number(),
    text: z.string(),
    state: z.enum(["queued", "running", "done", "failed", "stopped"]),
    message: z.string().nullable(),
    up_to: json(treeBase).nullable(),
  })
  .transform(({ job, message, up_to, ...turn }): Turn => ({ ...turn, jobID: job, messageID: message, update: up_to }));

const allJobs = (rows: RowReader): Job[] => rows.all(jobRow, "SELECT id, record FROM jobs ORDER BY position");

/** What the check of a file has read, which whoever opens it asks for next. */
interface Checked {
  readonly jobs: Job[];
  readonly version: unknown;
}

function checkRows(rows: RowReader): Checked {
  const version = dataVersion(rows);
  rows.all(turnRow, "SELECT id, job, position, state, message, text, up_to FROM turns");
  checkNoticeRows(rows);
  return { jobs: allJobs(rows), version };
}

/** File of a session's store. @throws Error for what is not a session id of the host, as it must not become a path */
export function sessionFile(stateDir: string, sessionID: string): string {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(sessionID)) throw new Error(`not a session id: ${sessionID.slice(0, 40)}`);
  return join(stateDir, "sessions", `${sessionID}.db`);
}

export async function openSessionStore(file: string, clock: Pick<Clock, "now"> = systemClock): Promise<SessionStore> {
  let checked: Checked | null = null;
  const database = await openDatabase(file, MIGRATIONS, {
    clock,
    stateDir: dirname(dirname(file)),
    sideTables: [SERIES_TABLE, ...LIVE_TABLES],
    check: (rows) => {
      checked = checkRows(rows);
    },
  });
  const series = createSeriesStore(database);
  const notices = createNoticeStore(database);
  const saveJob = (job: Job) => {
    checked = null;
    database.run(
      `INSERT INTO jobs (id, position, state, record) VALUES (?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET state = excluded.state, record = excluded.record`,
      job.id,
      job.position,
      job.state.kind,
      JSON.stringify(job),
    );
  };
  const saveTurn = (turn: Turn) =>
    database.run(
      `INSERT INTO turns (id, job, position, state, message, text, up_to) VALUES (?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET state = excluded.state, message = excluded.message`,
      turn.id,
      turn.jobID,
      turn.position,
      turn.state,
      turn.messageID,
      turn.text,
      turn.update ? JSON.stringify(turn.update) : null,
    );
  return {
    jobs() {
      const isCurrent = checked !== null && checked.version === dataVersion(database);
      const jobs = isCurrent && checked ? checked.jobs : allJobs(database);
      checked = null;
      return jobs;
    },
    version: () => `${database.generation()}:${dataVersion(database)}`,
    job: (jobID) => database.get(jobRow, "SELECT id, record FROM jobs WHERE id = ?", jobID),
    turns: (jobID) => database.all(turnRow, "SELECT * FROM turns WHERE job = ? ORDER BY position", jobID),
    insert: (entries) =>
      database.transaction(() => {
        for (const { job, turn } of entries) {
          saveJob(job);
          if (turn) saveTurn(turn);
        }
      }),
    ...series,
    saveJob: (job, records) =>
      records
        ? database.transaction(() => {
            saveJob(job);
            series.saveSeries(job.id, records);
          })
        : saveJob(job),
    saveTurn,
    saveEnded: (job, records) =>
      database.transaction(() => {
        saveJob(job);
        if (records) series.saveSeries(job.id, records);
        if (hasEnded(job)) notices.add(job);
      }),
    notices,
    live: createLiveStore(database),
    damaged: () => database.damaged(),
    close: () => database.close(),
  };
}
