import { dirname, join } from "node:path";
import { type Clock, systemClock } from "../../shared/clock.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { Job } from "../core/job.ts";
import type { Delivery, Notice } from "../core/notice.ts";
import { openDatabase } from "./database.ts";
import { parseJob } from "./job-record.ts";

/** One prompt to a job's child session. Turns of a job run strictly one after another, in order of `position`. */
export interface Turn {
  readonly id: string;
  readonly jobID: string;
  readonly position: number;
  readonly text: string;
  readonly state: "queued" | "running" | "done" | "failed" | "stopped";
  /** Chosen and stored before the prompt is sent; null while queued. */
  readonly messageID: string | null;
  /** What the job's files are brought up to first; null = they stay as they are. */
  readonly update: TreeBase | null;
}

/** Durable jobs and turns of one orchestrator session. Every write is one statement or one transaction. */
export interface SessionStore {
  jobs(): Job[];
  turns(jobID: string): Turn[];
  /** Records new jobs with their first turns, all or none. */
  insert(entries: readonly { readonly job: Job; readonly turn: Turn }[]): void;
  saveJob(job: Job): void;
  /** Writes a job whose state is new, and its history with it. */
  saveState(job: Job): void;
  saveTurn(turn: Turn): void;
  /** Writes a job and a turn of it together. */
  save(job: Job, turn: Turn): void;
  /** The same of one that has just ended, and that its orchestrator is still to be told, together. */
  saveEnded(job: Job): void;
  /** What is still to be told, oldest first. */
  notices(): Notice[];
  /**
   * Writes how these notices are delivered from now on. Left out are those that another process has delivered
   * otherwise meanwhile. @returns those written
   */
  saveDelivery(notices: readonly Notice[], delivery: Delivery | null): Notice[];
  /** Forgets a notice: it was told. */
  deleteNotice(id: number): void;
  /** Adds to the job's history (states, reports): the feed of reports and dashboards. */
  appendEvent(jobID: string, at: number, kind: string, data: unknown): void;
  /** Where damaged files went that lay in its place. */
  damaged(): readonly string[];
  close(): void;
}

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

interface TurnRow {
  id: string;
  job: string;
  position: number;
  state: Turn["state"];
  message: string | null;
  text: string;
  up_to: string | null;
}

interface NoticeRow {
  id: number;
  job: string;
  delivery: string | null;
}

const toText = (delivery: Delivery | null): string | null => (delivery ? JSON.stringify(delivery) : null);

const toNotice = ({ id, job, delivery }: NoticeRow): Notice => ({
  id,
  job: parseJob(job) as Notice["job"],
  delivery: delivery === null ? null : (JSON.parse(delivery) as Delivery),
});

/** File of one session's store. Session ids come from the host; anything else must not become a path. */
export function sessionFile(stateDir: string, sessionID: string): string {
  if (!/^[A-Za-z0-9_-]{1,128}$/.test(sessionID)) throw new Error(`not a session id: ${sessionID.slice(0, 40)}`);
  return join(stateDir, "sessions", `${sessionID}.db`);
}

export async function openSessionStore(file: string, clock: Pick<Clock, "now"> = systemClock): Promise<SessionStore> {
  const database = await openDatabase(file, MIGRATIONS, { clock, stateDir: dirname(dirname(file)) });
  const saveJob = (job: Job) =>
    database.run(
      `INSERT INTO jobs (id, position, state, record) VALUES (?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET state = excluded.state, record = excluded.record`,
      job.id,
      job.position,
      job.state.kind,
      JSON.stringify(job),
    );
  const appendEvent = (jobID: string, at: number, kind: string, data: unknown) =>
    database.run("INSERT INTO events (job, at, kind, data) VALUES (?, ?, ?, ?)", jobID, at, kind, JSON.stringify(data));
  const saveState = (job: Job) => {
    saveJob(job);
    appendEvent(job.id, job.state.since, "state", job.state);
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
    jobs: () =>
      database.all<{ record: string }>("SELECT record FROM jobs ORDER BY position").map((row) => parseJob(row.record)),
    turns: (jobID) =>
      database.all<TurnRow>("SELECT * FROM turns WHERE job = ? ORDER BY position", jobID).map((row) => ({
        id: row.id,
        jobID: row.job,
        position: row.position,
        text: row.text,
        state: row.state,
        messageID: row.message,
        update: row.up_to === null ? null : (JSON.parse(row.up_to) as TreeBase),
      })),
    insert: (entries) =>
      database.transaction(() => {
        for (const { job, turn } of entries) {
          saveJob(job);
          saveTurn(turn);
        }
      }),
    saveJob,
    saveState: (job) => database.transaction(() => saveState(job)),
    saveTurn,
    save: (job, turn) =>
      database.transaction(() => {
        saveJob(job);
        saveTurn(turn);
      }),
    saveEnded: (job) =>
      database.transaction(() => {
        saveState(job);
        database.run("INSERT INTO outbox (job) VALUES (?)", JSON.stringify(job));
      }),
    notices: () => database.all<NoticeRow>("SELECT * FROM outbox ORDER BY id").map(toNotice),
    saveDelivery: (notices, delivery) =>
      database.transaction(() =>
        notices.flatMap((notice) => {
          const row = database.get<NoticeRow>("SELECT * FROM outbox WHERE id = ?", notice.id);
          if (!row || row.delivery !== toText(notice.delivery)) return [];
          database.run("UPDATE outbox SET delivery = ? WHERE id = ?", toText(delivery), notice.id);
          return [{ ...notice, delivery }];
        }),
      ),
    deleteNotice: (id) => database.run("DELETE FROM outbox WHERE id = ?", id),
    appendEvent,
    damaged: () => database.damaged(),
    close: () => database.close(),
  };
}
