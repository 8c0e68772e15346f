import { z } from "zod";
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
}

export const SANDBOX_COST_TABLE =
  "sandbox_costs (sandbox TEXT PRIMARY KEY, usd_per_hour REAL NOT NULL, charged_to INTEGER NOT NULL)";

const SELECT = "SELECT usd_per_hour AS usdPerHour, charged_to AS chargedTo FROM sandbox_costs";
const row: RowSchema<SandboxCost> = z.object({ usdPerHour: z.number(), chargedTo: z.number() });

export const checkSandboxCostRows = (rows: RowReader): void => void rows.all(row, SELECT);

export const createSandboxCostStore = (database: Database): SandboxCostStore => ({
  saveSandboxCost: (id, { usdPerHour, chargedTo }) =>
    database.run(
      "INSERT OR REPLACE INTO sandbox_costs (sandbox, usd_per_hour, charged_to) VALUES (?, ?, ?)",
      id,
      usdPerHour,
      Math.round(chargedTo),
    ),
  sandboxCost: (id) => database.get(row, `${SELECT} WHERE sandbox = ?`, id) ?? null,
});
