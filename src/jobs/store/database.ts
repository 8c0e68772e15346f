import { lstatSync } from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";
import { type Clock, systemClock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { ensurePrivateFile, ensurePrivateFolder, makeFilePrivate } from "../../shared/private-files.ts";
import { type Connection, loadDriver, saysBusy, saysDamage, saysOtherSchema } from "./driver.ts";
import { migrate, versionOf } from "./migrate.ts";
import { BrokenRow, createRowReader, damage, type RowReader } from "./rows.ts";
import { findObstacle, inodeOf, isEmptied, setAside } from "./set-aside.ts";
import { brokenRow, toReason, unusable } from "./unusable.ts";

/** The part of SQLite that the stores use, over the runtime's own driver. */
export interface Database extends RowReader, Pick<Connection, "run" | "close"> {
  /** Runs `body` in one immediate transaction: it holds the write lock from its first line. */
  transaction<T>(body: () => T): T;
  /** New paths of the damaged files that this process has set aside from here. */
  damaged(): readonly string[];
  /** Changes when another file has taken the place of the one that was open: what was read from that one is void. */
  generation(): number;
}

export interface DatabaseOptions {
  readonly clock?: Pick<Clock, "now">;
  /** Folder that must be private to the user; by default the file's own. */
  readonly stateDir?: string;
  /** Tables that earlier versions of the plugin can do without, so that those need not refuse the file. */
  readonly sideTables?: readonly string[];
  /** Indexes that earlier versions can do without, and keep up as they write. */
  readonly sideIndexes?: readonly string[];
  /** Other processes look for it whenever they start: a file that was deleted meanwhile is made anew. */
  readonly isShared?: boolean;
  /** Fills a new, empty database, in the transaction that makes its tables. */
  readonly onNew?: (database: Connection) => void;
  /** Reads all rows once when the file is opened: a row that cannot be parsed counts as damage of the file. */
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
 * Opens a database file in WAL mode, creates its folder, and applies the `migrations` that it lacks. A damaged file is
 * set aside as soon as the damage is found, and an empty one takes its place: what was in it is lost, the rest goes on.
 * @throws PluginError `config_invalid` when the folder cannot be written, the runtime has no SQLite, or the file was
 * written by a newer version
 */
export async function openDatabase(
  file: string,
  migrations: readonly string[],
  {
    clock = systemClock,
    stateDir = dirname(file),
    sideTables = [],
    sideIndexes = [],
    isShared = false,
    onNew,
    check,
  }: DatabaseOptions = {},
): Promise<Database> {
  const driver = await loadDriver();
  const damaged: string[] = [];
  let isClosed = false;
  let generation = 0;
  let depth = 0;
  let { connection, inode, beside } = openOrReplace();

  /** @throws PluginError; for a damaged file what SQLite throws */
  function open(): { connection: Connection; inode: number | null; beside: string } {
    let wasEmptied = false;
    try {
      ensurePrivateFolder(stateDir, { mayBeLink: true });
      if (dirname(file) !== stateDir) ensurePrivateFolder(dirname(file));
      moveObstacles();
      wasEmptied = isEmptied(file, clock.now());
      ensurePrivateFile(file);
      for (const suffix of BESIDE) makeFilePrivate(file + suffix);
    } catch (error) {
      throw error instanceof PluginError ? error : unusable(file, error);
    }
    const inode = inodeOf(file);
    let opened: Connection | null = null;
    try {
      if (wasEmptied) throw damage("it is empty");
      opened = driver(file, "own");
      // Another process may hold the lock for a moment; without this SQLite gives up at once.
      opened.run("PRAGMA busy_timeout = 10000");
      refuseOtherPrograms(opened);
      useWriteAheadLog(opened);
      // WAL with NORMAL loses nothing when the process dies; a power cut may lose the last commits, never the file.
      opened.run("PRAGMA synchronous = NORMAL");
      const rows = createRowReader(opened);
      const found = rows.get(z.object({ quick_check: z.string() }), "PRAGMA quick_check(1)")?.quick_check;
      if (found !== "ok") throw damage(String(found));
      migrate(opened, file, migrations, onNew);
      for (const table of sideTables) opened.run(`CREATE TABLE IF NOT EXISTS ${table}`);
      for (const index of sideIndexes) opened.run(`CREATE INDEX IF NOT EXISTS ${index}`);
      check?.(rows);
      for (const suffix of BESIDE) makeFilePrivate(file + suffix);
      return { connection: opened, inode, beside: besideOf(file) };
    } catch (error) {
      closeAnyhow(opened);
      if (saysDamage(error) || saysOtherSchema(error) || error instanceof BrokenRow)
        throw Object.assign(error as Error, { inode });
      if (error instanceof PluginError) throw error;
      throw Object.assign(unusable(file, error), { wasReplaced: saysNoSuchFile(error) || inodeOf(file) !== inode });
    }
  }

  /** Tries again while another process that found the damage is moving the file and what lies beside it away. */
  function openUnlessReplaced(triesLeft = 5): ReturnType<typeof open> {
    try {
      return open();
    } catch (error) {
      if (triesLeft === 0 || !(error as { wasReplaced?: boolean }).wasReplaced) throw error;
      return openUnlessReplaced(triesLeft - 1);
    }
  }

  /** A folder, pipe or the like in the place of a file. Links are refused instead: they may be another user's trap. */
  function moveObstacles(): void {
    for (const path of [file, ...BESIDE.map((suffix) => file + suffix)]) {
      const inode = findObstacle(path);
      const aside = inode === null ? null : setAside(path, inode, clock.now());
      if (aside !== null) damaged.push(aside);
    }
  }

  function openOrReplace(): ReturnType<typeof open> {
    try {
      return openUnlessReplaced();
    } catch (error) {
      if (error instanceof PluginError) throw error;
      putAside((error as { inode?: number | null }).inode ?? null);
      try {
        return openUnlessReplaced();
      } catch (again) {
        throw again instanceof PluginError ? again : unusable(file, again);
      }
    }
  }

  function putAside(damagedInode: number | null): void {
    try {
      const path = damagedInode === null ? null : setAside(file, damagedInode, clock.now());
      if (path !== null) damaged.push(path);
    } catch (error) {
      throw unusable(file, error);
    }
  }

  function reopen(): void {
    generation++;
    closeAnyhow(connection);
    ({ connection, inode, beside } = openOrReplace());
  }

  /** Another process may have replaced the file, or somebody has deleted it. A deleted session is not to come back. */
  function isReplaced(): boolean {
    const current = inodeOf(file);
    return current === null ? isShared : current !== inode || besideOf(file) !== beside;
  }

  /**
   * Before a write. Where only the log or its index beside the file was deleted, no other process would see what is written,
   * nor this one theirs.
   */
  function reopenIfReplaced(): void {
    if (!isReplaced()) return;
    if (inodeOf(file) === inode && sizeOf(file + LOG) === 0) emptyLog(connection);
    reopen();
  }

  /** A read fails where another process has begun a new log in place of a deleted one. */
  function read<T>(work: () => T): T {
    try {
      return guarded(work);
    } catch (error) {
      if (isClosed || depth > 0 || error instanceof PluginError || !isReplaced()) throw error;
      reopenIfReplaced();
      return guarded(work);
    }
  }

  /** Runs `work`. A file that turns out to be damaged is replaced, and the next call uses the new one. */
  function guarded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof BrokenRow) throw brokenRow(file, error);
      if (isClosed || !saysDamage(error)) throw error;
      putAside(inode);
      reopen();
      const message = `The state file ${file} was damaged and is set aside; what was in it is lost: ${toReason(error)}. Try again.`;
      throw new PluginError("config_invalid", message, { cause: error, retryable: true });
    }
  }

  return {
    run(sql, ...values) {
      if (depth === 0) reopenIfReplaced();
      guarded(() => connection.run(sql, ...values));
    },
    get: (row, sql, ...values) => read(() => createRowReader(connection).get(row, sql, ...values)),
    all: (row, sql, ...values) => read(() => createRowReader(connection).all(row, sql, ...values)),
    transaction(body) {
      if (depth > 0) return body(); // part of the transaction under way
      reopenIfReplaced();
      guarded(() => connection.run("BEGIN IMMEDIATE"));
      const begun = connection;
      depth++;
      try {
        const result = body();
        guarded(() => connection.run("COMMIT"));
        return result;
      } catch (error) {
        if (connection === begun) connection.run("ROLLBACK"); // the connection to a damaged file is closed by now
        throw error;
      } finally {
        depth--;
      }
    },
    damaged: () => damaged,
    generation: () => generation,
    close() {
      isClosed = true;
      connection.close();
    },
  };
}

/** Extended code of SQLITE_IOERR_DELETE_NOENT: a file beside the database was gone when SQLite removed it. */
const NO_SUCH_FILE = 5898;

const saysNoSuchFile = (error: unknown): boolean => {
  const { errno, errcode } = error as { errno?: unknown; errcode?: unknown };
  return errno === NO_SUCH_FILE || errcode === NO_SUCH_FILE;
};

/** The last connection to close a file cleans up in it, which fails where the file is damaged. */
function closeAnyhow(connection: Connection | null): void {
  try {
    connection?.close();
  } catch {
    // Nobody uses this connection again.
  }
}

/**
 * What is in a deleted log goes into the file; as the file is closed, only the last process with it open would do that. Not
 * where there is something in a new log already, which does not go with it.
 */
function emptyLog(connection: Connection): void {
  try {
    connection.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } catch {
    // It is lost then.
  }
}

/** Suffixes of the files that SQLite writes beside the database, the log and its index for as long as it is open. */
const [LOG, INDEX] = ["-wal", "-shm"];
const BESIDE = [LOG, INDEX, "-journal"];

const sizeOf = (path: string): number => lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;

/** Which files they are. */
const besideOf = (file: string): string => `${inodeOf(file + LOG)} ${inodeOf(file + INDEX)}`;

/** Before anything is written: the plugin's own tables are made in one transaction with their version. */
function refuseOtherPrograms(connection: Connection): void {
  const isEmpty = connection.get("SELECT 1 FROM sqlite_schema LIMIT 1") === undefined;
  if (versionOf(connection) === 0 && !isEmpty) throw damage("another program's tables");
}
