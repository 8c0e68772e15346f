import { z } from "zod";
import type { Clock } from "../../shared/clock.ts";
import type { Database } from "./database.ts";
import type { RowReader, RowSchema } from "./rows.ts";

/** What a sandbox costs that is charged by the process which uses it, so that what it costs after the death of that process is known. */
export interface SandboxCost {
  readonly usdPerHour: number;
  /** Up to when it has been charged, epoch ms. */
  readonly chargedTo: number;
}

export interface SandboxCostStore {
  saveSandboxCost(id: string, cost: SandboxCost): void;
  /** null = it is not charged in this way. */
  sandboxCost(id: string): SandboxCost | null;
  /**
   * Whether what the sandbox has cost besides is the caller's to charge: of all processes that end it one gets that, and none if
   * its record was removed, as it was charged before.
   */
  claimLastCharge(id: string): boolean;
}

export const SANDBOX_COST_TABLE =
  "sandbox_costs (sandbox TEXT PRIMARY KEY, usd_per_hour REAL NOT NULL, charged_to INTEGER NOT NULL)";

/** Sandboxes that nobody may charge any more, for as long as somebody may come across them. */
export const CHARGED_TABLE = "charged_sandboxes (sandbox TEXT PRIMARY KEY, at INTEGER NOT NULL)";
/** A day, the longest that a sandbox lives, and a margin. */
const REMEMBERED_MS = 25 * 60 * 60_000;

const SELECT = "SELECT usd_per_hour AS usdPerHour, charged_to AS chargedTo FROM sandbox_costs";
const chargedRow = z.object({ sandbox: z.string() });
const row: RowSchema<SandboxCost> = z.object({ usdPerHour: z.number(), chargedTo: z.number() });

export const checkSandboxCostRows = (rows: RowReader): void => void rows.all(row, SELECT);

export const createSandboxCostStore = (database: Database, clock: Pick<Clock, "now">): SandboxCostStore => ({
  saveSandboxCost: (id, { usdPerHour, chargedTo }) =>
    database.run(
      "INSERT OR REPLACE INTO sandbox_costs (sandbox, usd_per_hour, charged_to) VALUES (?, ?, ?)",
      id,
      usdPerHour,
      Math.round(chargedTo),
    ),
  sandboxCost: (id) => database.get(row, `${SELECT} WHERE sandbox = ?`, id) ?? null,
  claimLastCharge(id) {
    const now = clock.now();
    database.run("DELETE FROM charged_sandboxes WHERE at < ?", now - REMEMBERED_MS);
    const claim = "INSERT INTO charged_sandboxes (sandbox, at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING sandbox";
    return database.get(chargedRow, claim, id, now) !== undefined;
  },
});
