import { hasEnded, isNotAlive } from "../../shared/process-identity.ts";
import type { Database } from "./database.ts";

/*
 * Whether whoever owns a row that expires still has it. A process that is suspended, or sleeps with its machine, renews
 * nothing and goes on later, so of a process that is known to live no time says that it has ended.
 */

/** Ends the name of an owner that has let go: its process may go on without it, as OpenCode does after a reload. */
const LEFT = ":left";

/** Whether its process is known to live, and has not let go. Unknown in another container or on another machine. */
export const isSurelyAlive = (owner: string): boolean => !owner.endsWith(LEFT) && hasEnded(owner) === false;

export const isLost = (owner: string, expiresAt: number, now: number): boolean =>
  expiresAt < now ? !isSurelyAlive(owner) : isNotAlive(owner);

/** What it leaves lasts until it expires. */
export const leaveToExpire = (database: Pick<Database, "run">, owner: string): void => {
  for (const table of ["leases", "warm_sandboxes"])
    database.run(`UPDATE ${table} SET owner = ? WHERE owner = ?`, owner + LEFT, owner);
};
