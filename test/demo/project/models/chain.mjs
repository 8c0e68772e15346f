// Absolute discounting, interpolated: each context takes a little off every count and gives the sum, times the next
// shorter context's prediction, to all symbols.
import { NONE } from "./trie.mjs";

/** What a count of 1, of 2, and of 3 or more gives away. */
const DISCOUNTS = [0.6, 0.9, 1.1];

const discountOf = (count) => DISCOUNTS[count >= 3 ? 2 : count - 1];

/**
 * Writes to `out` what the context `node` predicts, falling back on `base`.
 * @returns false (and `out` = `base`) when the context is unknown or has no children left
 */
export function interpolate(trie, node, base, out) {
  if (node === NONE || trie.firstChild[node] === NONE) {
    out.set(base);
    return false;
  }
  let seen = 0;
  let kept = 0;
  for (let id = trie.firstChild[node]; id !== NONE; id = trie.nextSibling[id]) {
    seen += trie.count[id];
    kept += trie.count[id] - discountOf(trie.count[id]);
  }
  // What was pruned from this context still counts in its total: that share belongs to the shorter context.
  const total = Math.max(trie.count[node], seen);
  for (let s = 0; s < out.length; s++) out[s] = (base[s] * (total - kept)) / total;
  for (let id = trie.firstChild[node]; id !== NONE; id = trie.nextSibling[id]) {
    out[trie.symbol[id]] += (trie.count[id] - discountOf(trie.count[id])) / total;
  }
  return true;
}

/** The predictions of ever longer contexts, each built on the one before; `levels[k]` is the prediction of order k. */
export class Chain {
  constructor(trie, order, symbols) {
    this.trie = trie;
    this.uniform = new Float64Array(symbols).fill(1 / symbols);
    this.levels = Array.from({ length: order + 1 }, () => new Float64Array(symbols));
    /** the longest order whose context is known */
    this.longest = 0;
  }

  /** Predictions at `contexts`; the returned array (the last level) is reused by the next call. */
  predict(contexts) {
    let base = this.uniform;
    this.longest = 0;
    for (const [k, level] of this.levels.entries()) {
      if (interpolate(this.trie, contexts.nodes[k], base, level)) this.longest = k;
      base = level;
    }
    return base;
  }
}
