import { PluginError } from "../../shared/error-code.ts";

export type SqlValue = string | number | null;

/** An open database file. Synchronous: one statement costs microseconds. */
export interface Connection {
  run(sql: string, ...values: SqlValue[]): void;
  get<Row>(sql: string, ...values: SqlValue[]): Row | undefined;
  all<Row>(sql: string, ...values: SqlValue[]): Row[];
  close(): void;
}

/** `bun:sqlite` under Bun, `node:sqlite` under Node ≥ 22.13; loaded on first use only. */
export async function loadDriver(): Promise<(file: string) => Connection> {
  if (process.versions.bun) {
    const { Database: BunDatabase } = await import("bun:sqlite");
    return (file) => {
      const database = new BunDatabase(file, { create: true, readwrite: true });
      return fromStatements(
        (sql) => database.query(sql),
        (sql) => database.run(sql),
        () => database.close(),
      );
    };
  }
  const { DatabaseSync } = await import("node:sqlite").catch((cause) => {
    const message = `This runtime (Node ${process.versions.node}) has no SQLite; run OpenCode on Node 22.13 or newer, or use its own binary.`;
    throw new PluginError("config_invalid", message, { cause, retryable: false });
  });
  return (file) => {
    const database = new DatabaseSync(file);
    const prepared = new Map<string, ReturnType<typeof database.prepare>>();
    const prepare = (sql: string) => {
      const statement = prepared.get(sql) ?? database.prepare(sql);
      prepared.set(sql, statement);
      return statement;
    };
    return fromStatements(
      prepare,
      (sql) => database.exec(sql),
      () => database.close(),
    );
  };
}

/** What SQLite says of a file that is no database, or no whole one: SQLITE_CORRUPT and SQLITE_NOTADB, in either driver. */
export function saysDamage(error: unknown): boolean {
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (typeof errcode === "number") return [11, 26].includes(errcode & 0xff);
  return typeof code === "string" && /^SQLITE_(CORRUPT|NOTADB)/.test(code);
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
}

const fromStatements = (
  prepare: (sql: string) => Statement,
  exec: (sql: string) => void,
  close: () => void,
): Connection => ({
  run: (sql, ...values) => {
    if (values.length === 0) exec(sql);
    else prepare(sql).run(...values);
  },
  get: <Row>(sql: string, ...values: SqlValue[]) => (prepare(sql).get(...values) ?? undefined) as Row | undefined,
  all: <Row>(sql: string, ...values: SqlValue[]) => prepare(sql).all(...values) as Row[],
  close,
});
