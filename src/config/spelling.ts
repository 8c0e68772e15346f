/** The candidate that `name` most likely misspells; undefined if none is close. */
export function closest(name: string, candidates: readonly string[]): string | undefined {
  // Bounded, because a key in a file may be of any length.
  if (name.length > 64) return undefined;
  const ranked = candidates
    .map((candidate) => ({ candidate, distance: editDistance(name.toLowerCase(), candidate.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(best.candidate.length / 3))
    ? best.candidate
    : undefined;
}

/** The fewest insertions, deletions, replacements and swaps of two neighbours that turn `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let above: readonly number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  const letters = [...a];
  for (const [i, letter] of letters.entries()) {
    const next = [i + 1];
    for (let j = 0; j < b.length; j += 1) {
      const replaced = (row[j] ?? 0) + (b[j] === letter ? 0 : 1);
      const isSwap = i > 0 && j > 0 && letter === b[j - 1] && letters[i - 1] === b[j];
      const swapped = isSwap ? (above[j - 1] ?? 0) + 1 : Number.POSITIVE_INFINITY;
      next.push(Math.min(replaced, swapped, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1));
    }
    above = row;
    row = next;
  }
  return row[b.length] ?? 0;
}
