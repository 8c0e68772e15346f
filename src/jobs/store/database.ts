import { dirname } from "node:path";
import { z } from "zod";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { ensurePrivateFile, ensurePrivateFolder, makeFilePrivate } from "../../shared/private-files.ts";
import { type Connection, loadDriver, saysBusy, saysDamage } from "./driver.ts";
import { createRowReader, damage, type RowReader } from "./rows.ts";
import { inodeOf, setAside } from "./set-aside.ts";

/** The little of SQLite that we use, over the runtime's own driver. */
export interface Database extends RowReader, Pick<Connection, "run" | "close"> {
  /** Runs `body` in one immediate transaction: it holds the write lock from its first line. */
  transaction<T>(body: () => T): T;
  /** Where damaged files went that lay here, as far as this process found them. */
  damaged(): readonly string[];
}

export interface DatabaseOptions {
  readonly clock?: Pick<Clock, "now">;
  /** Where it is not the file's own folder. */
  readonly stateDir?: string;
  /** Called with every new, empty database in the transaction that makes it. */
  readonly onNew?: (database: Connection) => void;
  /** Reads every row that will ever be read, at the opening: one that cannot be parsed is damage of the file. */
  readonly check?: (rows: RowReader) => void;
}

const LOCK_PAUSE_MS = 20;
const LONGEST_LOCK_MS = 10_000;

/** SQLite's busy timeout does not cover the switch to WAL: of several processes that open a new file, all but one fail. */
function useWriteAheadLog(opened: Connection): void {
  for (let waitedMs = 0; ; waitedMs += LOCK_PAUSE_MS) {
    try {
      opened.run("PRAGMA journal_mode = WAL");
      return;
    } catch (error) {
      if (!saysBusy(error) || waitedMs >= LONGEST_LOCK_MS) throw error;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LOCK_PAUSE_MS);
  }
}

/**
 * Opens a database file in WAL mode, making its folder, and brings it to the newest of `migrations`. A damaged file is
 * set aside, now or when it is found out, and an empty one takes its place: what was in it is lost, the rest goes on.
 * @throws PluginError `config_invalid` when the folder cannot be written, the runtime has no SQLite, or the file was
 * written by a newer version
 */
export async function openDatabase(
  file: string,
  migrations: readonly string[],
  { clock = systemClock, stateDir = dirname(file), onNew, check }: DatabaseOptions = {},
): Promise<Database> {
  const driver = await loadDriver();
  const damaged: string[] = [];
  let isClosed = false;
  let depth = 0;
  let { connection, inode } = openOrReplace();

  /** @throws PluginError; what SQLite throws of a damaged file */
  function open(): { connection: Connection; inode: number | null } {
    try {
      ensurePrivateFolder(stateDir, { mayBeLink: true });
      if (dirname(file) !== stateDir) ensurePrivateFolder(dirname(file));
      ensurePrivateFile(file);
      for (const suffix of BESIDE) makeFilePrivate(file + suffix);
    } catch (error) {
      throw error instanceof PluginError ? error : unusable(file, error);
    }
    const inode = inodeOf(file);
    let opened: Connection | null = null;
    try {
      opened = driver(file);
      // A second process may hold the lock for a moment; without this SQLite gives up at once.
      opened.run("PRAGMA busy_timeout = 10000");
      refuseForeign(opened);
      useWriteAheadLog(opened);
      // WAL with NORMAL loses nothing when the process dies; a power cut may take the last commits, never the file.
      opened.run("PRAGMA synchronous = NORMAL");
      const rows = createRowReader(opened);
      const found = rows.get(z.object({ quick_check: z.string() }), "PRAGMA quick_check(1)")?.quick_check;
      if (found !== "ok") throw damage(String(found));
      migrate(opened, file, migrations, onNew);
      check?.(rows);
      for (const suffix of BESIDE) makeFilePrivate(file + suffix);
      return { connection: opened, inode };
    } catch (error) {
      closeAnyhow(opened);
      if (saysDamage(error)) throw Object.assign(error as Error, { inode });
      throw error instanceof PluginError ? error : unusable(file, error);
    }
  }

  function openOrReplace(): ReturnType<typeof open> {
    try {
      return open();
    } catch (error) {
      if (error instanceof PluginError) throw error;
      putAside((error as { inode?: number | null }).inode ?? null);
      try {
        return open();
      } catch (again) {
        throw again instanceof PluginError ? again : unusable(file, again);
      }
    }
  }

  function putAside(found: number | null): void {
    try {
      const path = found === null ? null : setAside(file, found, clock.now());
      if (path !== null) damaged.push(path);
    } catch (error) {
      throw unusable(file, error);
    }
  }

  function reopen(): void {
    closeAnyhow(connection);
    ({ connection, inode } = openOrReplace());
  }

  /** Runs `work`; a file that turns out to be damaged is replaced, and the next call finds the new one. */
  function guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (isClosed || !saysDamage(error)) throw error;
      putAside(inode);
      reopen();
      const message = `The state file ${file} was damaged and is set aside; what was in it is lost: ${toReason(error)}. Try again.`;
      throw new PluginError("config_invalid", message, { cause: error, retryable: true });
    }
  }

  return {
    run: (sql, ...values) => guarded(() => connection.run(sql, ...values)),
    get: (row, sql, ...values) => guarded(() => createRowReader(connection).get(row, sql, ...values)),
    all: (row, sql, ...values) => guarded(() => createRowReader(connection).all(row, sql, ...values)),
    transaction(body) {
      if (depth > 0) return body(); // part of the transaction that is under way
      const current = inodeOf(file);
      if (current !== null && current !== inode) reopen(); // another process has replaced it
      guarded(() => connection.run("BEGIN IMMEDIATE"));
      const begun = connection;
      depth++;
      try {
        const result = body();
        guarded(() => connection.run("COMMIT"));
        return result;
      } catch (error) {
        if (connection === begun) connection.run("ROLLBACK"); // what was damaged is closed
        throw error;
      } finally {
        depth--;
      }
    },
    damaged: () => damaged,
    close() {
      isClosed = true;
      connection.close();
    },
  };
}

/** The last to close a file tidies up in it, which a damaged one may not bear. */
function closeAnyhow(connection: Connection | null): void {
  try {
    connection?.close();
  } catch {
    // Nothing depends on it.
  }
}

/** What SQLite writes beside the file. */
const BESIDE = ["-wal", "-shm", "-journal"];

/** Before anything is written to it. Ours get their tables in one transaction with their version, perhaps just now. */
function refuseForeign(connection: Connection): void {
  const isEmpty = connection.get("SELECT 1 FROM sqlite_schema LIMIT 1") === undefined;
  if (versionOf(connection) === 0 && !isEmpty) throw damage("another program's tables");
}

const toReason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function versionOf(connection: Connection): number {
  const row = createRowReader(connection).get(z.object({ user_version: z.number() }), "PRAGMA user_version");
  return row?.user_version ?? 0;
}

function unusable(file: string, cause: unknown): PluginError {
  const message = `Could not use the state file ${file}: ${toReason(cause)}. Make its folder writable, or set "stateDir" to another one.`;
  return new PluginError("config_invalid", message, { cause, retryable: false });
}

function migrate(
  connection: Connection,
  file: string,
  migrations: readonly string[],
  onNew: DatabaseOptions["onNew"],
): void {
  connection.run("BEGIN IMMEDIATE");
  try {
    const version = versionOf(connection);
    if (version > migrations.length) {
      const message = `${file} was written by a newer version of opencode-parallel-agents; update the plugin, or set another "stateDir".`;
      throw new PluginError("config_invalid", message, { retryable: false });
    }
    for (const statements of migrations.slice(version)) {
      for (const statement of statements.split(";")) if (statement.trim()) connection.run(statement);
    }
    if (version === 0) onNew?.(connection);
    connection.run(`PRAGMA user_version = ${migrations.length}`);
    connection.run("COMMIT");
  } catch (error) {
    if (!saysDamage(error)) connection.run("ROLLBACK");
    throw error;
  }
}
