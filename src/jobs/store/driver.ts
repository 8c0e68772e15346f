import { pathToFileURL } from "node:url";
import { PluginError } from "../../shared/error-code.ts";

export type SqlValue = string | number | null;

/** An open database file. Synchronous: a statement takes microseconds. */
export interface Connection {
  run(sql: string, ...values: SqlValue[]): void;
  get(sql: string, ...values: SqlValue[]): unknown;
  all(sql: string, ...values: SqlValue[]): unknown[];
  close(): void;
}

/**
 * - `own`: read and written, made where there is none.
 * - `write`: read and written, refused where there is none.
 * - `read`: for a file that others write. SQLite would make the files beside it where there are none.
 * - `read_alone`: for a file that nobody has open, so that nothing is made beside it. Where somebody opens it meanwhile,
 *   what is read may be wrong.
 */
export type OpenMode = "own" | "write" | "read" | "read_alone";

export type Driver = (file: string, mode: OpenMode) => Connection;

/** What to do where the runtime has no SQLite. A checkout has that Node for its tests. */
export const SQLITE_REMEDY =
  "Run it with Node 22.13 or newer, such as node_modules/.bin/node of the plugin's checkout, or with Bun.";

/** `bun:sqlite` under Bun, `node:sqlite` under Node ≥ 22.13; loaded on first use only. */
export async function loadDriver(): Promise<Driver> {
  if (process.versions.bun) {
    const { Database: BunDatabase, constants } = await import("bun:sqlite");
    const flags: Readonly<Record<OpenMode, number>> = {
      own: constants.SQLITE_OPEN_READWRITE | constants.SQLITE_OPEN_CREATE,
      write: constants.SQLITE_OPEN_READWRITE,
      read: constants.SQLITE_OPEN_READONLY,
      read_alone: constants.SQLITE_OPEN_READONLY | constants.SQLITE_OPEN_URI,
    };
    return (file, mode) => {
      const database = new BunDatabase(mode === "read_alone" ? toAddress(file, mode) : file, flags[mode]);
      return toConnection({
        prepare: (sql) => database.prepare(sql),
        exec: (sql) => database.run(sql),
        close: () => database.close(),
      });
    };
  }
  const { DatabaseSync } = await import("node:sqlite").catch((cause) => {
    const message = `This runtime (Node ${process.versions.node}) has no SQLite. ${SQLITE_REMEDY}`;
    throw new PluginError("config_invalid", message, { cause, retryable: false });
  });
  return (file, mode) => {
    if (mode === "own") return toConnection(new DatabaseSync(file));
    const options = { readOnly: mode !== "write" };
    if (mode === "read") return toConnection(new DatabaseSync(file, options));
    try {
      return toConnection(new DatabaseSync(toAddress(file, mode), options));
    } catch {
      // Node before 22.15 takes addresses for names of files.
      return toConnection(new DatabaseSync(file, options));
    }
  };
}

/** As SQLite names files with options. An immutable one is read without locks, and without files beside it. */
const toAddress = (file: string, mode: "write" | "read_alone"): string =>
  `${pathToFileURL(file).href}?${mode === "write" ? "mode=rw" : "immutable=1"}`;

/** Whether the file is damaged or no database at all: SQLITE_CORRUPT or SQLITE_NOTADB, as either driver reports it. */
export function saysDamage(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (typeof errcode === "number") return [11, 26].includes(errcode & 0xff);
  return typeof code === "string" && /^SQLITE_(CORRUPT|NOTADB)/.test(code);
}

/** Whether a statement names a table or a column that is not there, or is there already: SQLITE_ERROR, in either driver. */
export function saysOtherSchema(error: unknown): boolean {
  const { errno, errcode } = error as { errno?: unknown; errcode?: unknown };
  return errno === 1 || errcode === 1;
}

/** Whether another connection holds a lock on the file: SQLITE_BUSY, in either driver. */
export function saysBusy(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  return typeof errcode === "number"
    ? (errcode & 0xff) === 5
    : typeof code === "string" && code.startsWith("SQLITE_BUSY");
}

interface Statement {
  run(...values: SqlValue[]): unknown;
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
  /** Only in Bun: the file stays open, with its log beside it, until every statement is finalized. */
  finalize?(): void;
}

interface Handle {
  prepare(sql: string): Statement;
  exec(sql: string): void;
  close(): void;
}

function toConnection(handle: Handle): Connection {
  const prepared = new Map<string, Statement>();
  const prepare = (sql: string): Statement => {
    const statement = prepared.get(sql) ?? handle.prepare(sql);
    prepared.set(sql, statement);
    return statement;
  };
  return {
    run(sql, ...values) {
      if (values.length === 0) handle.exec(sql);
      else prepare(sql).run(...values);
    },
    get: (sql, ...values) => prepare(sql).get(...values) ?? undefined,
    all: (sql, ...values) => prepare(sql).all(...values),
    close() {
      try {
        for (const statement of prepared.values()) statement.finalize?.();
      } finally {
        handle.close();
      }
    },
  };
}
