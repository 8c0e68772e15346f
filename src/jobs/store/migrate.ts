import { z } from "zod";
import { PluginError } from "../../shared/error-code.ts";
import { type Connection, saysDamage } from "./driver.ts";
import { createRowReader, damage } from "./rows.ts";

/** Number of migrations applied to the file; 0 = it is new. */
export function versionOf(connection: Connection): number {
  const row = createRowReader(connection).get(z.object({ user_version: z.number() }), "PRAGMA user_version");
  return row?.user_version ?? 0;
}

/**
 * Applies the migrations that a file lacks, in one transaction. A migration is one or more statements.
 * @param onNew fills a new file, in that transaction
 * @throws PluginError `config_invalid` for a file of a newer version
 */
export function migrate(
  connection: Connection,
  file: string,
  migrations: readonly string[],
  onNew: ((database: Connection) => void) | undefined,
): void {
  connection.run("BEGIN IMMEDIATE");
  try {
    const version = versionOf(connection);
    if (version < 0) throw damage(`version ${version}`);
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
