export interface SimilarLines {
  /** Number of the first line, from 1. */
  readonly first: number;
  readonly lines: readonly string[];
  /** They differ from the sought lines in white space alone. */
  readonly differsInSpaces: boolean;
}

/** Similarity, between 0 and 1, from which lines are worth showing. */
const WORTH_SHOWING = 0.4;
/** Different characters compared at most, so that no file takes long. */
const MOST_COMPARED = 4_000_000;
/** Places compared line by line. */
const CANDIDATES = 8;
const MOST_LINES = 12;

/** The lines of a text that resemble the sought ones most; null when none does. Both have LF at the ends of lines. */
export function findSimilarLines(text: string, sought: string): SimilarLines | null {
  const wanted = sought.replace(/^\n+|\n+$/g, "").split("\n");
  const lines = text.split("\n");
  // The longest line says most about where the others are.
  const anchor = wanted.reduce(
    (best, line, i) => (line.trim().length > (wanted[best] ?? "").trim().length ? i : best),
    0,
  );
  let best: { at: number; score: number } | null = null;
  for (const { at, score } of rank(lines, wanted[anchor] ?? "")) {
    if (score < WORTH_SHOWING) break;
    const start = Math.max(0, at - anchor);
    const total = wanted.reduce((sum, line, i) => sum + toSimilarity(line)(lines[at - anchor + i] ?? ""), 0);
    if (best === null || total > best.score) best = { at: start, score: total };
  }
  if (best === null) return null;
  const found = lines.slice(best.at, best.at + wanted.length);
  return {
    first: best.at + 1,
    lines: found.slice(0, MOST_LINES),
    differsInSpaces: withoutSpaces(found.join("")) === withoutSpaces(wanted.join("")),
  };
}

/** The lines that resemble `wanted` most, the most similar first. */
function rank(lines: readonly string[], wanted: string): { readonly at: number; readonly score: number }[] {
  const similarity = toSimilarity(wanted);
  const known = new Map<string, number>();
  let compared = 0;
  let found: { at: number; score: number }[] = [];
  for (const [at, line] of lines.entries()) {
    let score = known.get(line);
    if (score === undefined) {
      compared += line.length;
      if (compared > MOST_COMPARED) break;
      score = similarity(line);
      known.set(line, score);
    }
    if (score < WORTH_SHOWING || (found.length >= CANDIDATES && score <= (found.at(-1)?.score ?? 0))) continue;
    found = [...found, { at, score }].sort((a, b) => b.score - a.score).slice(0, CANDIDATES);
  }
  return found;
}

/** Compares lines with `wanted` by the pairs of neighbouring characters that they share (Dice's coefficient). */
function toSimilarity(wanted: string): (line: string) => number {
  const trimmed = wanted.trim();
  const pairs = pairsOf(trimmed);
  return (line) => {
    const other = line.trim();
    if (other === trimmed) return 1;
    if (other.length > 8 * trimmed.length + 80) return 0;
    const others = pairsOf(other);
    let common = 0;
    for (const pair of others) if (pairs.has(pair)) common++;
    return pairs.size + others.size === 0 ? 0 : (2 * common) / (pairs.size + others.size);
  };
}

function pairsOf(line: string): Set<number> {
  const pairs = new Set<number>();
  for (let i = 0; i + 1 < line.length; i++) pairs.add(line.charCodeAt(i) * 65_536 + line.charCodeAt(i + 1));
  return pairs;
}

const withoutSpaces = (text: string): string => text.replace(/\s+/g, "");
