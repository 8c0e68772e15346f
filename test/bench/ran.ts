import type { Interval } from "./slots.ts";

/** When a command ran that printed `date +ran%s%N` at its beginning and at its end; none where it did not get to both. */
export function ranFrom(text: string): Interval[] {
  const [from, to] = [...text.matchAll(/ran(\d{19})/g)].map(([, ns]) => Number(BigInt(ns ?? 0) / 1000n) / 1000);
  return from !== undefined && to !== undefined ? [{ from, to }] : [];
}
