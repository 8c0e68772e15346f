import type { Clock } from "./clock.ts";

/**
 * A function that returns the same value again for so long, while nothing seems to have changed. Of a promise that is
 * rejected the value is not kept.
 * @param keyOf tells apart for which argument the value is, and cheaply whether it may be another one by now
 */
export function memoizeBriefly<Argument, Value>(
  { forMs, clock }: { readonly forMs: number; readonly clock: Pick<Clock, "now"> },
  keyOf: (argument: Argument) => string,
  make: (argument: Argument) => Value,
): (argument: Argument) => Value {
  let known: { readonly key: string; readonly until: number; readonly value: Value } | null = null;
  return (argument) => {
    const now = clock.now();
    const key = keyOf(argument);
    if (known?.key === key && now < known.until) return known.value;
    const made = { key, until: now + forMs, value: make(argument) };
    known = made;
    if (made.value instanceof Promise)
      made.value.catch(() => {
        if (known === made) known = null;
      });
    return made.value;
  };
}
