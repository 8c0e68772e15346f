import type { Interval } from "./slots.ts";

/** The shell command by which a command says when it began and when it ended. No program is started for it, as that would be measured too. */
export const SAY_WHEN = "echo ran$EPOCHREALTIME";

/** When a command ran that did `SAY_WHEN` at its beginning and at its end; none where it did not get to both. */
export function ranFrom(text: string): Interval[] {
  const [from, to] = [...text.matchAll(/ran(\d+[.,]\d{6})/g)].map(([, at = ""]) => Number(at.replace(",", ".")) * 1000);
  return from !== undefined && to !== undefined ? [{ from, to }] : [];
}
