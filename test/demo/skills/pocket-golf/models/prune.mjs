// Which counts are worth their bytes? Each is scored by the bits it saves on the training text against the prediction
// of the next shorter context (Stolcke's criterion, on discounted counts), and the table keeps the best-scored ones.
import { discountOf, interpolate } from "./interpolate.mjs";
import { fromLevel, toLevel } from "./levels.mjs";
import { follow, NONE, ROOT, Trie } from "./trie.mjs";

/**
 * Scores of all nodes. A node's score is at least that of any descendant, so "score ≥ threshold" always keeps whole
 * paths from the root. `baseOf` gives what each context falls back on.
 */
function scoreTrie(trie, discountsAt, baseOf, symbols) {
  const scores = new Float64Array(trie.size);
  const out = new Float64Array(symbols);
  for (let node = 0; node < trie.size; node++) {
    if (trie.firstChild[node] === NONE) continue;
    const base = baseOf(node);
    const discounts = discountsAt(node);
    interpolate(trie, node, discounts, base, out);
    for (const id of trie.children(node)) {
      const symbol = trie.symbol[id];
      const weight = trie.count[id] - discountOf(discounts, trie.count[id]);
      scores[id] = weight * Math.log2(out[symbol] / base[symbol]);
    }
  }
  // Children come after their parents, so one backward pass carries the best score of each subtree up.
  for (let id = trie.size - 1; id > 0; id--) {
    if (scores[id] > scores[trie.parent[id]]) scores[trie.parent[id]] = scores[id];
  }
  return scores;
}

/** Scores for both tries of `tables`: `{ ngrams, words | null }`, in bits saved on the training text. */
export function scoreTables(tables, discounts, symbols, boundary) {
  const { ngrams, words, order } = tables;
  const suffix = suffixLinks(ngrams);
  const depth = depths(ngrams);
  const uniform = new Float64Array(symbols).fill(1 / symbols);
  // A context's fallback is its suffix's own prediction; suffixes are shorter, so all are ready when depths ascend.
  const predictions = new Map();
  const predictionAt = (node) => {
    if (node === NONE) return uniform;
    const known = predictions.get(node);
    if (known) return known;
    const out = new Float64Array(symbols);
    interpolate(ngrams, node, discounts.ngrams[depth[node]], predictionAt(suffix[node]), out);
    predictions.set(node, out);
    return out;
  };
  const scores = {
    ngrams: scoreTrie(
      ngrams,
      (node) => discounts.ngrams[Math.min(depth[node], order)],
      (node) => predictionAt(suffix[node]),
      symbols,
    ),
    words: null,
  };
  if (words) {
    const wordDepth = depths(words);
    const guide = guideOf(words, ngrams, suffix, boundary);
    const baseAt = (node) => {
      // The n-gram context has at most `order` symbols; the guide may be one longer (a leaf, which predicts nothing).
      const at = guide[node];
      return predictionAt(depth[at] > order ? suffix[at] : at);
    };
    scores.words = scoreTrie(
      words,
      (node) => discounts.words[Math.min(wordDepth[node], discounts.words.length - 1)],
      baseAt,
      symbols,
    );
  }
  return scores;
}

/** The `keep` best-scored nodes of `tables`, as new tables with counts rounded to levels. */
export function pruneTables(tables, scores, keep) {
  const all = [...scores.ngrams.subarray(1), ...(scores.words?.subarray(1) ?? [])].sort((a, b) => b - a);
  const threshold = keep >= all.length ? -Infinity : Math.max(all[keep], 0);
  const prune = (trie, trieScores) => copyKept(trie, (id) => trieScores[id] > threshold);
  return {
    order: tables.order,
    ngrams: prune(tables.ngrams, scores.ngrams),
    words: tables.words ? prune(tables.words, scores.words) : null,
  };
}

function copyKept(trie, kept) {
  const copy = new Trie(1 << 12);
  copy.count[ROOT] = fromLevel(toLevel(trie.count[ROOT]));
  const target = new Int32Array(trie.size).fill(NONE);
  target[ROOT] = ROOT;
  for (let id = 1; id < trie.size; id++) {
    const parent = target[trie.parent[id]];
    if (parent !== NONE && kept(id)) target[id] = copy.add(parent, trie.symbol[id], fromLevel(toLevel(trie.count[id])));
  }
  return copy;
}

/** Per node its longest proper suffix that is a node too; NONE for the root. Nodes must come after their parents. */
export function suffixLinks(trie) {
  const suffix = new Int32Array(trie.size).fill(NONE);
  for (const id of byDepth(trie)) {
    const parent = trie.parent[id];
    suffix[id] = parent === ROOT ? ROOT : follow(trie, suffix, suffix[parent], trie.symbol[id]);
  }
  return suffix;
}

/** Per node of `words`, the longest n-gram that ends where it ends, words being preceded by `boundary`. */
export function guideOf(words, ngrams, suffix, boundary) {
  const guide = new Int32Array(words.size).fill(ROOT);
  const start = ngrams.child(ROOT, boundary);
  guide[ROOT] = start === NONE ? ROOT : start;
  for (let id = 1; id < words.size; id++) {
    guide[id] = follow(ngrams, suffix, guide[words.parent[id]], words.symbol[id]);
  }
  return guide;
}

export function depths(trie) {
  const depth = new Uint8Array(trie.size);
  for (let id = 1; id < trie.size; id++) depth[id] = depth[trie.parent[id]] + 1;
  return depth;
}

function byDepth(trie) {
  const depth = depths(trie);
  return Array.from({ length: trie.size - 1 }, (_, i) => i + 1).sort((a, b) => depth[a] - depth[b]);
}
