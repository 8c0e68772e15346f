import { z } from "zod";
import type { Doing } from "../../core/activity.ts";
import type { Database } from "./database.ts";
import { dataVersion, json, type RowReader } from "./rows.ts";

/*
 * How processes that have a session in use, and views in other processes, reach each other: through three tables of the
 * session's file. Nothing in them outlives its moment.
 */

/** What a process that has the session in use says of it. */
export interface LivePart {
  readonly maxRunning: number;
  /** Limits by type; `total` is over all of them. */
  readonly gpus: Readonly<Record<string, number>>;
  readonly budgetUsd: number | null;
  readonly problems: readonly string[];
  /** By id of the jobs that this process runs, or that wait in it. Empty while nobody watches. */
  readonly jobs: ReadonlyMap<string, Doing>;
}

export interface StoredPart {
  /** The process, as `toOwner` names it. */
  readonly owner: string;
  /** Epoch ms. */
  readonly at: number;
  readonly text: string;
}

export interface WatchTime {
  /** Since when somebody watches, without a pause. */
  readonly since: number;
  readonly until: number;
}

/** Something that a view asks for. `until`: it must not begin later. */
export interface StoredRequest {
  readonly id: string;
  readonly until: number;
  /** As the view wrote it; parsed by `parseRequest`. */
  readonly text: string;
}

export interface LiveStore {
  /** Whether another connection has written to the file since this was asked last; true the first time. */
  hasChanged(): boolean;
  savePart(part: StoredPart): void;
  removePart(owner: string): void;
  /** Processes that have written a part. */
  owners(): string[];
  watched(): WatchTime | null;
  /** Requests that nobody has taken, the oldest first. */
  openRequests(now: number): StoredRequest[];
  /** Takes a request, so that no other process does it. @returns false where somebody was faster, or it is too late */
  takeRequest(id: string, owner: string, now: number): boolean;
  answerRequest(id: string, answer: string): void;
  /** Deletes requests that nobody asks about any more. */
  forgetRequests(before: number): void;
}

export const LIVE_TABLES = [
  "live_parts (owner TEXT PRIMARY KEY, at INTEGER NOT NULL, record TEXT NOT NULL)",
  "watched (id INTEGER PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL)",
  "requests (id TEXT PRIMARY KEY, until INTEGER NOT NULL, record TEXT NOT NULL, owner TEXT, answer TEXT)",
];

/** Requests read at once. */
const MOST_REQUESTS = 20;
const LONGEST_MESSAGE = 100_000;

const partRow = z.object({ owner: z.string(), at: z.number(), text: z.string() });
const watchRow = z.object({ since: z.number(), until: z.number() });
const requestRow = z.object({ id: z.string(), until: z.number(), text: z.string() });
const takenRow = z.object({ owner: z.string().nullable(), answer: z.string().nullable() });

const time = z.number();
const words = z.string();

const doing: z.ZodType<Doing> = z.object({
  place: z.object({ position: z.number(), reason: words.nullable() }).nullable(),
  live: z.object({
    tool: words.nullable(),
    isAsking: z.boolean().optional(),
    retry: z.object({ attempt: z.number(), message: words, nextAt: time }).nullable(),
    lastActivityAt: time.nullable(),
    line: words.nullable().optional(),
    command: words.nullable().optional(),
  }),
  creating: z
    .discriminatedUnion("kind", [
      z.object({ kind: z.literal("building"), since: time, image: words, line: words.nullable() }),
      z.object({ kind: z.literal("turn"), since: time, perSecond: z.number() }),
      z.object({ kind: z.literal("limited"), since: time, why: words }),
      z.object({ kind: z.literal("waiting"), since: time, gpu: words }),
      z.object({ kind: z.literal("booting"), since: time }),
    ])
    .nullable(),
  pendingSince: time.nullable(),
});

const livePart: z.ZodType<LivePart> = z.object({
  maxRunning: z.number(),
  gpus: z.record(z.string(), z.number()),
  budgetUsd: z.number().nullable(),
  problems: z.array(words),
  jobs: z.array(z.tuple([z.string(), doing])).transform((entries) => new Map(entries)),
});

const jobID = z.string().max(64);
const request = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("cancel"), jobs: z.array(jobID).min(1).max(10_000) }),
  z.strictObject({ kind: z.literal("message"), job: jobID, text: z.string().trim().min(1).max(LONGEST_MESSAGE) }),
  z.strictObject({ kind: z.literal("collect"), job: jobID, mode: z.enum(["branch", "patch", "files"]) }),
  z.strictObject({ kind: z.literal("snapshot"), job: jobID, label: z.string().max(64).nullable() }),
  z.strictObject({ kind: z.literal("output"), job: jobID }),
]);

const answer = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("done"), text: z.string() }),
  z.object({ kind: z.literal("refused"), code: z.string(), message: z.string() }),
]);

const parse = <T>(schema: z.ZodType<T>, text: string): T | null => json(schema).safeParse(text).data ?? null;

export const toPartText = ({ jobs, ...part }: LivePart): string => JSON.stringify({ ...part, jobs: [...jobs] });

/** null = it was written by another version. */
export const parsePart = (text: string): LivePart | null => parse(livePart, text);

/** null = it is nothing that can be asked for. */
export const parseRequest = (text: string): z.infer<typeof request> | null => parse(request, text);

export const parseAnswer = (text: string): z.infer<typeof answer> | null => parse(answer, text);

/** What views read. @throws where the file has no such tables, because only earlier versions had it open */
export const readParts = (rows: RowReader): StoredPart[] =>
  rows.all(partRow, "SELECT owner, at, record AS text FROM live_parts");

export const readWatched = (rows: RowReader): WatchTime | null =>
  rows.get(watchRow, "SELECT since, until FROM watched WHERE id = 1") ?? null;

/** Whoever has taken a request, and the answer; null = there is no such request. */
export const readRequest = (rows: RowReader, id: string): { owner: string | null; answer: string | null } | null =>
  rows.get(takenRow, "SELECT owner, answer FROM requests WHERE id = ?", id) ?? null;

/** What views write. */
export const writeWatched = ({ run }: Pick<Database, "run">, { since, until }: WatchTime): void =>
  run("INSERT OR REPLACE INTO watched (id, since, until) VALUES (1, ?, ?)", since, until);

export const writeRequest = ({ run }: Pick<Database, "run">, { id, until, text }: StoredRequest): void =>
  run("INSERT INTO requests (id, until, record) VALUES (?, ?, ?)", id, until, text);

/** Takes a request back unless somebody has begun with it. */
export const withdrawRequest = ({ run }: Pick<Database, "run">, id: string): void =>
  run("DELETE FROM requests WHERE id = ? AND owner IS NULL", id);

export const deleteRequest = ({ run }: Pick<Database, "run">, id: string): void =>
  run("DELETE FROM requests WHERE id = ?", id);

export function createLiveStore(database: Database): LiveStore {
  let version: number | undefined;
  return {
    hasChanged() {
      const now = dataVersion(database);
      if (now === version) return false;
      version = now;
      return true;
    },
    savePart: ({ owner, at, text }) =>
      database.run("INSERT OR REPLACE INTO live_parts (owner, at, record) VALUES (?, ?, ?)", owner, at, text),
    removePart: (owner) => database.run("DELETE FROM live_parts WHERE owner = ?", owner),
    owners: () => readParts(database).map(({ owner }) => owner),
    watched: () => readWatched(database),
    openRequests: (now) =>
      database.all(
        requestRow,
        `SELECT id, until, record AS text FROM requests WHERE owner IS NULL AND until > ? ORDER BY rowid LIMIT ${MOST_REQUESTS}`,
        now,
      ),
    takeRequest: (id, owner, now) =>
      database.transaction(() => {
        const found = database.get(takenRow, "SELECT owner, answer FROM requests WHERE id = ? AND until > ?", id, now);
        if (!found || found.owner !== null) return false;
        database.run("UPDATE requests SET owner = ? WHERE id = ?", owner, id);
        return true;
      }),
    answerRequest: (id, text) => database.run("UPDATE requests SET answer = ? WHERE id = ?", text, id),
    forgetRequests: (before) => database.run("DELETE FROM requests WHERE until < ?", before),
  };
}
