/*
 * Which rows are on the screen. Only these are mounted, so a list of thousands costs as much as one of twenty; a scrollbox
 * of the terminal UI would mount all, and not follow what is chosen.
 */

/** The first row that is shown: as near to `former` as it can be with `chosen` on the screen and no row left empty. */
export function firstShown(count: number, rows: number, chosen: number, former: number): number {
  const last = Math.max(0, count - Math.max(1, rows));
  const most = Math.min(last, Math.max(0, chosen));
  const least = Math.max(0, Math.min(last, chosen - Math.max(1, rows) + 1));
  return Math.min(most, Math.max(least, Math.min(last, Math.max(0, former))));
}

/** What of an entry the choice needs to know. */
interface Choosable {
  readonly key: string;
  readonly kind: string;
}

const canBeChosen = ({ kind }: Choosable): boolean => kind !== "heading";

/**
 * Where the choice is: at the entry that was chosen wherever it has moved, or, while it is not there, at the place that it
 * had. @returns -1 where nothing can be chosen
 */
export function chosenAt(entries: readonly Choosable[], key: string | null, formerly: number): number {
  const found = key === null ? -1 : entries.findIndex((one) => one.key === key);
  if (found >= 0) return found;
  return nearest(entries, Math.max(0, Math.min(entries.length - 1, formerly)));
}

/** `by` choosable entries further on; it stops at either end. */
export function moved(entries: readonly Choosable[], from: number, by: number): number {
  let at = from;
  for (let left = Math.abs(by), next = from; left > 0; ) {
    next += Math.sign(by);
    const entry = entries[next];
    if (!entry) break;
    if (!canBeChosen(entry)) continue;
    at = next;
    left--;
  }
  return at;
}

function nearest(entries: readonly Choosable[], at: number): number {
  for (let away = 0; away < entries.length; away++)
    for (const one of [at + away, at - away]) {
      const entry = entries[one];
      if (entry && canBeChosen(entry)) return one;
    }
  return -1;
}
