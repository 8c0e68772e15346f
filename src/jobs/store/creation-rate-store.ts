import { z } from "zod";
import type { ChangeBucket } from "../../sandboxes/creation-limiter.ts";
import type { Database } from "./database.ts";
import type { RowReader, RowSchema } from "./rows.ts";

/** How fast all processes together may create sandboxes. */
export interface CreationRateStore {
  readonly changeCreationRate: ChangeBucket;
}

/** `full_at`: when as many sandboxes as a burst allows may be created at once again, epoch ms. One row at most. */
export const CREATION_RATE_TABLE = "creation_rate (id INTEGER PRIMARY KEY, full_at REAL NOT NULL)";

const rateRow: RowSchema<{ full_at: number }> = z.object({ full_at: z.number() });
const SELECT = "SELECT full_at FROM creation_rate WHERE id = 1";

export const checkCreationRateRows = (rows: RowReader): void => void rows.all(rateRow, SELECT);

export const createCreationRateStore = (database: Database): CreationRateStore => ({
  changeCreationRate: (change) =>
    database.transaction(() => {
      const { fullAt, result } = change(database.get(rateRow, SELECT)?.full_at ?? null);
      database.run("INSERT OR REPLACE INTO creation_rate (id, full_at) VALUES (1, ?)", fullAt);
      return result;
    }),
});
