// Absolute discounting, interpolated: each context takes a little off every count it has and gives the sum, times the
// next shorter context's prediction, to all symbols. With three discounts (for counts 1, 2, 3+) this is the smoothing
// of Chen & Goodman's "modified Kneser-Ney" on plain counts.
import { NONE, ROOT } from "./trie.mjs";

/** The three discounts of one depth, from how many strings of that length occur once, twice, … (Chen & Goodman). */
export function estimateDiscounts(countsOfCounts) {
  const [, n1, n2, n3, n4] = countsOfCounts.map((n) => n + 1);
  const y = n1 / (n1 + 2 * n2);
  const between = (x, low, high) => Math.round(1000 * Math.min(high, Math.max(low, x))) / 1000;
  return [
    between(1 - (2 * y * n2) / n1, 0.1, 0.95),
    between(2 - (3 * y * n3) / n2, 0.2, 1.6),
    between(3 - (4 * y * n4) / n3, 0.3, 2.2),
  ];
}

/** Discounts for every depth of `trie`: [depth of the context] → three numbers. Read from unpruned counts. */
export function discountsByDepth(trie, depths) {
  const histogram = Array.from({ length: depths }, () => [0, 0, 0, 0, 0]);
  const depth = new Uint8Array(trie.size);
  for (let id = 1; id < trie.size; id++) {
    depth[id] = depth[trie.parent[id]] + 1;
    const row = histogram[Math.min(depth[id], depths) - 1];
    if (trie.count[id] <= 4) row[trie.count[id]]++;
  }
  return histogram.map(estimateDiscounts);
}

export function discountOf(discounts, count) {
  return discounts[count >= 3 ? 2 : count - 1];
}

/**
 * Writes to `out` what the context `node` predicts, falling back on `base`.
 * @returns false (and `out` = `base`) when the context is unknown or was pruned empty
 */
export function interpolate(trie, node, discounts, base, out) {
  if (node === NONE || trie.firstChild[node] === NONE) {
    out.set(base);
    return false;
  }
  let seen = 0;
  let kept = 0;
  for (let id = trie.firstChild[node]; id !== NONE; id = trie.nextSibling[id]) {
    const count = trie.count[id];
    seen += count;
    kept += count - discountOf(discounts, count);
  }
  // What was pruned from this context still counts in its total: that share belongs to the shorter context.
  const total = Math.max(trie.count[node], seen);
  const rest = (total - kept) / total;
  for (let s = 0; s < out.length; s++) out[s] = base[s] * rest;
  for (let id = trie.firstChild[node]; id !== NONE; id = trie.nextSibling[id]) {
    const count = trie.count[id];
    out[trie.symbol[id]] += (count - discountOf(discounts, count)) / total;
  }
  return true;
}

/** The chain of predictions of ever longer contexts; `levels[k]` is that of order k, the last one that of the word. */
export class Chain {
  constructor(tables, discounts, symbols) {
    this.tables = tables;
    this.discounts = discounts;
    this.uniform = new Float64Array(symbols).fill(1 / symbols);
    this.levels = Array.from({ length: tables.order + (tables.words ? 2 : 1) }, () => new Float64Array(symbols));
    /** the longest order whose context is known */
    this.longest = 0;
  }

  /** Predictions at `contexts`; the returned array (the last level) is reused by the next call. */
  predict(contexts) {
    const { ngrams, words, order } = this.tables;
    let base = this.uniform;
    this.longest = 0;
    for (let k = 0; k <= order; k++) {
      if (interpolate(ngrams, contexts.nodes[k], this.discounts.ngrams[k], base, this.levels[k])) this.longest = k;
      base = this.levels[k];
    }
    if (!words) return base;
    // The word context may be shorter than the n-gram one; then it knows less and must not overrule it.
    const node = contexts.wordLength >= Math.min(3, order) && contexts.word !== ROOT ? contexts.word : NONE;
    interpolate(
      words,
      node,
      this.discounts.words[Math.min(contexts.wordLength, this.discounts.words.length - 1)],
      base,
      this.levels[order + 1],
    );
    return this.levels[order + 1];
  }
}
