import { z } from "zod";
import type { Database } from "./database.ts";
import type { RowReader } from "./rows.ts";

/** How environments were used on the last days, hour by hour: how much of them is to be kept ready. */
export interface WarmUseStore {
  /** Records that so many jobs started together in this hour, if it is more than before. @param place names environment and project */
  saveBurst(place: string, day: number, hour: number, burst: number): void;
  /** The largest burst in these hours of each of the last days on which there was any use, without the day itself. */
  earlierBursts(place: string, day: number, hours: readonly number[]): number[];
}

export const WARM_USE_TABLE =
  "warm_use (place TEXT NOT NULL, day INTEGER NOT NULL, hour INTEGER NOT NULL, burst INTEGER NOT NULL, PRIMARY KEY (place, day, hour))";

const DAYS_KEPT = 7;

const burstRow = z.object({ burst: z.number() });

export const checkWarmUseRows = (rows: RowReader): void => void rows.all(burstRow, "SELECT burst FROM warm_use");

export const createWarmUseStore = (database: Database): WarmUseStore => ({
  saveBurst: (place, day, hour, burst) =>
    database.transaction(() => {
      database.run(
        `INSERT INTO warm_use (place, day, hour, burst) VALUES (?, ?, ?, ?)
         ON CONFLICT (place, day, hour) DO UPDATE SET burst = max(burst, excluded.burst)`,
        ...[place, day, hour, burst],
      );
      database.run("DELETE FROM warm_use WHERE day < ?", day - DAYS_KEPT);
    }),
  earlierBursts: (place, day, hours) =>
    database
      .all(
        burstRow,
        `SELECT max(burst) AS burst FROM warm_use WHERE place = ? AND day < ? AND day >= ?
           AND hour IN (SELECT value FROM json_each(?)) GROUP BY day`,
        ...[place, day, day - DAYS_KEPT, JSON.stringify(hours)],
      )
      .map(({ burst }) => burst),
});
