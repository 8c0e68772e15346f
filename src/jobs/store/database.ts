import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { LabError } from "../../shared/error-code.ts";

export type SqlValue = string | number | null;

/** The little of SQLite that we use, over the runtime's own driver. Synchronous: one statement costs microseconds. */
export interface Database {
  run(sql: string, ...values: SqlValue[]): void;
  get<Row>(sql: string, ...values: SqlValue[]): Row | undefined;
  all<Row>(sql: string, ...values: SqlValue[]): Row[];
  /** Runs `body` in one immediate transaction: it holds the write lock from its first line. */
  transaction<T>(body: () => T): T;
  close(): void;
}

/**
 * Opens a database file in WAL mode, making its folder, and brings it to the newest of `migrations`.
 * @throws LabError `config_invalid` when the folder cannot be written, the runtime has no SQLite, or the file was
 * written by a newer version
 */
export async function openDatabase(file: string, migrations: readonly string[]): Promise<Database> {
  const open = await loadDriver();
  const database = openFile(file, open);
  try {
    // A second process may hold the lock for a moment; without this SQLite gives up at once.
    database.run("PRAGMA busy_timeout = 10000");
    database.run("PRAGMA journal_mode = WAL");
    // WAL with NORMAL loses nothing when the process dies; a power cut may take the last commits, never the file.
    database.run("PRAGMA synchronous = NORMAL");
    migrate(database, file, migrations);
    return database;
  } catch (error) {
    database.close();
    throw error instanceof LabError ? error : unusable(file, error);
  }
}

function openFile(file: string, open: (file: string) => Database): Database {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    return open(file);
  } catch (error) {
    throw unusable(file, error);
  }
}

function unusable(file: string, cause: unknown): LabError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `Could not use the state file ${file}: ${reason}. Make its folder writable, or set "stateDir" to another one.`;
  return new LabError("config_invalid", message, { cause, retryable: false });
}

function migrate(database: Database, file: string, migrations: readonly string[]): void {
  database.transaction(() => {
    const version = database.get<{ user_version: number }>("PRAGMA user_version")?.user_version ?? 0;
    if (version > migrations.length) {
      const message = `${file} was written by a newer version of opencode-parallel-agents; update the plugin, or set another "stateDir".`;
      throw new LabError("config_invalid", message, { retryable: false });
    }
    for (const statements of migrations.slice(version)) {
      for (const statement of statements.split(";")) if (statement.trim()) database.run(statement);
    }
    database.run(`PRAGMA user_version = ${migrations.length}`);
  });
}

/** `bun:sqlite` under Bun, `node:sqlite` under Node ≥ 22.13; loaded on first use only. */
async function loadDriver(): Promise<(file: string) => Database> {
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
    throw new LabError("config_invalid", message, { cause, retryable: false });
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

interface Statement {
  run(...values: SqlValue[]): unknown;
  get(...values: SqlValue[]): unknown;
  all(...values: SqlValue[]): unknown[];
}

function fromStatements(prepare: (sql: string) => Statement, exec: (sql: string) => void, close: () => void): Database {
  let depth = 0;
  return {
    run: (sql, ...values) => {
      if (values.length === 0) exec(sql);
      else prepare(sql).run(...values);
    },
    get: <Row>(sql: string, ...values: SqlValue[]) => (prepare(sql).get(...values) ?? undefined) as Row | undefined,
    all: <Row>(sql: string, ...values: SqlValue[]) => prepare(sql).all(...values) as Row[],
    transaction(body) {
      if (depth > 0) return body(); // part of the transaction that is under way
      exec("BEGIN IMMEDIATE");
      depth++;
      try {
        const result = body();
        exec("COMMIT");
        return result;
      } catch (error) {
        exec("ROLLBACK");
        throw error;
      } finally {
        depth--;
      }
    },
    close,
  };
}
