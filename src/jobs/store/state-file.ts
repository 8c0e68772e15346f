import { existsSync, lstatSync, type Stats } from "node:fs";
import { PluginError } from "../../shared/error-code.ts";
import type { Database } from "./database.ts";
import { type Connection, type Driver, saysDamage, saysOtherSchema } from "./driver.ts";
import { versionOf } from "./migrate.ts";
import { BrokenRow, createRowReader, dataVersion } from "./rows.ts";
import { toReason, unusable } from "./unusable.ts";

/**
 * A state file that other processes write, as views read it. It is never made, migrated or set aside here, and
 * may be damaged, of another version, or gone at any moment. Only `write` changes rows.
 */
export interface StateFile {
  /** Differs from what it was before where the file may have changed. Takes microseconds. */
  version(): string;
  /** @returns null where there is no file, or an empty one @throws PluginError `config_invalid`, which says why it cannot be read */
  read<T>(work: (database: Database) => T): T | null;
  /**
   * For what views tell the processes that have the file open: its tables are theirs. Nothing happens where there is no file.
   * @throws what SQLite throws
   */
  write(work: (database: Pick<Connection, "run">) => void): void;
  close(): void;
}

/** Views are drawn by the thread that reads. */
const LOCK_MS = 250;
const MOST_TRIES = 3;

interface Open {
  readonly connection: Connection;
  readonly inode: number;
  readonly count: number;
}

/** @param newest version of the file's tables that is known here */
export function openStateFile(driver: Driver, file: string, newest: number): StateFile {
  let open: Open | null = null;
  let opened = 0;

  const find = (): Stats | null => lstatSync(file, { throwIfNoEntry: false }) ?? null;

  function drop(): void {
    const { connection } = open ?? {};
    open = null;
    close(connection);
  }

  /** The connection to the file that is there now. Without a log beside it nobody has it open, and null is returned. */
  function connect(inode: number): Open | null {
    if (open && open.inode !== inode) drop(); // another file has taken its place
    if (open || !existsSync(`${file}-wal`)) return open;
    const connection = driver(file, "read");
    connection.run(`PRAGMA busy_timeout = ${LOCK_MS}`);
    open = { connection, inode, count: ++opened };
    return open;
  }

  function readAlone<T>(work: (connection: Connection) => T): { readonly result: T } | null {
    const before = stamp(find());
    const connection = driver(file, "read_alone");
    try {
      const result = work(connection);
      // Whoever opened it meanwhile may have changed it under this reading.
      return stamp(find()) === before && !existsSync(`${file}-wal`) ? { result } : null;
    } catch (error) {
      if (stamp(find()) === before && !existsSync(`${file}-wal`)) throw error;
      return null;
    } finally {
      close(connection);
    }
  }

  function use<T>(work: (database: Database) => T): T | null {
    const all = (connection: Connection): T | null => {
      const version = versionOf(connection);
      if (version === 0) return null; // just being made
      if (version > newest) throw newer(file);
      return work(toDatabase(connection));
    };
    for (let tries = 1; ; tries++) {
      const found = find();
      if (!found) {
        drop();
        return null;
      }
      if (!found.isFile()) throw unusable(file, new Error("it is no file"));
      const known = connect(found.ino);
      if (known) return all(known.connection);
      const alone = readAlone(all);
      if (alone) return alone.result;
      if (tries === MOST_TRIES) throw unusable(file, new Error("it is being opened and closed all the time"));
    }
  }

  return {
    version() {
      try {
        const found = find();
        if (!found?.isFile()) return "";
        const known = connect(found.ino);
        return known ? `${known.count}:${dataVersion(createRowReader(known.connection))}` : stamp(found);
      } catch (error) {
        drop();
        return toReason(error);
      }
    },
    read(work) {
      try {
        return use(work);
      } catch (error) {
        if (error instanceof PluginError) throw error;
        drop();
        throw unreadable(file, error);
      }
    },
    write(work) {
      if (!find()?.isFile()) return;
      const connection = driver(file, "write");
      try {
        connection.run(`PRAGMA busy_timeout = ${LOCK_MS}`);
        connection.run("PRAGMA synchronous = NORMAL");
        work(connection);
      } finally {
        close(connection);
      }
    },
    close: drop,
  };
}

const stamp = (found: Stats | null): string =>
  found === null ? "" : [found.ino, found.mtimeMs, found.ctimeMs, found.size].join(":");

function toDatabase(connection: Connection): Database {
  const refuse = () => {
    throw new Error("state files are only read here");
  };
  return {
    ...createRowReader(connection),
    run: refuse,
    transaction: (body) => body(),
    damaged: () => [],
    generation: () => 0,
    close: refuse,
  };
}

function close(connection: Connection | undefined): void {
  try {
    connection?.close();
  } catch {
    // Nobody uses this connection again.
  }
}

const newer = (file: string): PluginError =>
  new PluginError(
    "config_invalid",
    `${file} was written by a newer version of opencode-parallel-agents; update the plugin to see what is in it.`,
    { retryable: false },
  );

function unreadable(file: string, cause: unknown): PluginError {
  const say = (message: string) => new PluginError("config_invalid", message, { cause, retryable: false });
  if (cause instanceof BrokenRow) return say(`${file} has a record that this version cannot read: ${cause.message}.`);
  if (saysOtherSchema(cause))
    return say(
      `${file} was written by another version of opencode-parallel-agents and cannot be read (${toReason(cause)}). OpenCode brings it up to date when it opens the session.`,
    );
  if (saysDamage(cause))
    return say(
      `${file} is damaged and cannot be read (${toReason(cause)}). OpenCode sets it aside when it opens it next.`,
    );
  return unusable(file, cause);
}
