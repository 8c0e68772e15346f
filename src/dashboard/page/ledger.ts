import { computed, effect, signal } from "@preact/signals";
import { systemClock } from "../../shared/clock.ts";
import type { Leaderboard } from "../../views/leaderboard.ts";
import { get } from "./api.ts";
import { filterRows, type LedgerOrder, orderRows, toRows } from "./layout/ledger.ts";
import { fields, results } from "./store.ts";

/*
 * The project's experiments in one metric. They are read again when jobs had results, and no oftener than their size allows:
 * thousands of them take a while to rank and to send.
 */

export const ledger = signal<Leaderboard | null>(null);
export const ledgerTrouble = signal<string | null>(null);
/** null = the one measured last. */
export const metric = signal<string | null>(null);
export const filter = signal("");
export const order = signal<LedgerOrder>("rank");

const allRows = computed(() => (ledger.value ? toRows(ledger.value) : []));
export const rows = computed(() => orderRows(filterRows(allRows.value, filter.value), order.value));
export const everyRow = allRows;

const EVERY_MS = 1_500;
/** Share of the time that reading may take. */
const SHARE = 1 / 20;

export function followLedger(): void {
  const question = computed(() => `${fields.value.session} ${metric.value}`);
  let asked = "";
  let [isReading, isDue] = [false, false];
  /** Ends the rest after the last reading; null = it has not been read, or the rest is over. */
  let endRest: (() => void) | null = null;

  const read = async () => {
    [isReading, isDue] = [true, false];
    asked = question.peek();
    const since = systemClock.now();
    try {
      const name = metric.peek();
      const path = name === null ? "/ledger" : `/ledger?metric=${encodeURIComponent(name)}`;
      const got = await get<{ ledger: Leaderboard | null }>(path, fields.peek().session);
      if (asked === question.peek()) ledger.value = got.ledger;
      ledgerTrouble.value = null;
    } catch (error) {
      ledgerTrouble.value = (error as Error).message;
    }
    isReading = false;
    endRest = systemClock.after(Math.max(EVERY_MS, (systemClock.now() - since) / SHARE), () => {
      endRest = null;
      next();
    });
    next();
  };
  const next = () => {
    if (!isDue || isReading || (endRest && asked === question.peek())) return;
    endRest?.();
    endRest = null;
    void read();
  };
  effect(() => {
    void [question.value, results.value];
    isDue = fields.peek().session !== null;
    next();
  });
}
