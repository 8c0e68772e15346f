import { Database } from "bun:sqlite";
import { copyFileSync, existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

/*
 * The databases of a state directory as the next process to open them would find them. They are read from copies,
 * because opening a database recovers it, and that is the plugin's job.
 */

const DATABASE_SUFFIXES = ["", "-wal"] as const;

function withCopy<T>(file: string, read: (database: Database) => T): T {
  const folder = mkdtempSync(join(tmpdir(), "chaos-db-"));
  try {
    const copy = join(folder, basename(file));
    for (const suffix of DATABASE_SUFFIXES) if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
    const database = new Database(copy);
    try {
      return read(database);
    } finally {
      database.close();
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const databases = (stateDir: string): string[] =>
  existsSync(stateDir)
    ? readdirSync(stateDir, { recursive: true, encoding: "utf8" })
        .filter((path) => path.endsWith(".db") && !path.startsWith("local/"))
        .map((path) => join(stateDir, path))
    : [];

/** Databases that fail SQLite's integrity check, with its findings. Call it only while nothing writes to them. */
export const damaged = (stateDir: string): string[] =>
  databases(stateDir).flatMap((file) => {
    try {
      const findings = withCopy(file, (database) =>
        database
          .query<{ integrity_check: string }, []>("PRAGMA integrity_check")
          .all()
          .map((row) => row.integrity_check),
      );
      return findings.join() === "ok" ? [] : [`${basename(file)}: ${findings.join()}`];
    } catch (error) {
      return [`${basename(file)}: ${error}`];
    }
  });

export interface Recorded {
  readonly jobs: number;
  /** Notices that were ever recorded: one with every end of a job. */
  readonly notices: number;
  /** Notices that are still to be delivered. */
  readonly undelivered: number;
}

/** What a session's state file records of its jobs. */
export function recorded(stateDir: string, sessionID: string): Recorded {
  const file = join(stateDir, "sessions", `${sessionID}.db`);
  if (!existsSync(file)) return { jobs: 0, notices: 0, undelivered: 0 };
  return withCopy(file, (database) => {
    const one = (sql: string): number => database.query<{ n: number }, []>(sql).get()?.n ?? 0;
    if (one("PRAGMA user_version") === 0 && one("SELECT count(*) n FROM sqlite_master WHERE name = 'outbox'") === 0)
      return { jobs: 0, notices: 0, undelivered: 0 };
    return {
      jobs: one("SELECT count(*) n FROM jobs"),
      notices: one("SELECT coalesce(max(seq), 0) n FROM sqlite_sequence WHERE name = 'outbox'"),
      undelivered: one("SELECT count(*) n FROM outbox"),
    };
  });
}

/** Sandboxes that the session's state file records as live. */
export function liveSandboxes(stateDir: string, sessionID: string): string[] {
  const file = join(stateDir, "sessions", `${sessionID}.db`);
  if (!existsSync(file)) return [];
  return withCopy(file, (database) =>
    database
      .query<{ id: string }, []>(
        `SELECT json_extract(record, '$.sandbox.id') id FROM jobs WHERE json_extract(record, '$.sandbox.kind') = 'live'`,
      )
      .all()
      .map(({ id }) => id),
  );
}

/** Rows of these tables of the pool, as text. A parked job has a row of its snapshot only. */
export function poolRows(
  stateDir: string,
  tables: readonly ("leases" | "queue" | "snapshots" | "sandboxes")[],
): string[] {
  const file = join(stateDir, "pool.db");
  if (!existsSync(file)) return [];
  return withCopy(file, (database) =>
    tables.flatMap((table) => {
      const rows = database.query<Record<string, unknown>, []>(`SELECT * FROM ${table}`).all();
      return rows.map((row) => `${table}: ${JSON.stringify(row)}`);
    }),
  );
}

/** The records of a table of a session's or a project's state file. */
export function recordsIn<T>(file: string, table: "jobs" | "experiments"): T[] {
  if (!existsSync(file)) return [];
  return withCopy(file, (database) =>
    database
      .query<{ record: string }, []>(`SELECT record FROM ${table}`)
      .all()
      .map(({ record }) => JSON.parse(record) as T),
  );
}
