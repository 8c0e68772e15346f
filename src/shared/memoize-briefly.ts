import type { Clock } from "./clock.ts";

/**
 * A function that returns the same value again for so long, while nothing seems to have changed.
 * @param sign what tells cheaply that the value may be another one by now
 */
export function memoizeBriefly<Argument, Value>(
  { forMs, clock, sign }: { readonly forMs: number; readonly clock: Pick<Clock, "now">; readonly sign: () => string },
  make: (argument: Argument) => Value,
): (argument: Argument) => Value {
  let known: { readonly key: string; readonly until: number; readonly value: Value } | null = null;
  return (argument) => {
    const now = clock.now();
    const key = JSON.stringify([argument, sign()]);
    if (known?.key !== key || now >= known.until) known = { key, until: now + forMs, value: make(argument) };
    return known.value;
  };
}
