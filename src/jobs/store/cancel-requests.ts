import { z } from "zod";
import type { Database } from "./database.ts";
import type { RowReader } from "./rows.ts";

/** What processes ask of each other: to cancel a job. */
export interface CancelRequests {
  /** Asks the process that holds a lease to cancel its job, which it sees at its next renewal. */
  askToCancel(leaseID: string, reason: string | null): void;
  /** Takes the requests to cancel that concern these leases. */
  takeCancels(leaseIDs: ReadonlySet<string>): { readonly leaseID: string; readonly reason: string | null }[];
}

const cancelRow = z.object({ leaseID: z.string(), reason: z.string().nullable() });
const SELECT_CANCELS = "SELECT lease AS leaseID, reason FROM cancels";

export const checkCancelRows = (rows: RowReader): unknown => rows.all(cancelRow, SELECT_CANCELS);

export function createCancelRequests(database: Database): CancelRequests {
  return {
    askToCancel: (leaseID, reason) =>
      database.run("INSERT OR REPLACE INTO cancels (lease, reason) VALUES (?, ?)", leaseID, reason),
    takeCancels(leaseIDs) {
      const asked = database.all(cancelRow, SELECT_CANCELS);
      if (asked.length === 0) return [];
      const taken = asked.filter(({ leaseID }) => leaseIDs.has(leaseID));
      for (const { leaseID } of taken) database.run("DELETE FROM cancels WHERE lease = ?", leaseID);
      database.run("DELETE FROM cancels WHERE lease NOT IN (SELECT id FROM leases)");
      return taken;
    },
  };
}
