// What the three count-based models share: counting, filling the cap, writing and reading tables.
import { pack } from "../lib/artifact.mjs";
import { letterMask } from "../lib/data.mjs";
import { decodeTrie, encodeTrie, selfGuide, wordGuide } from "./codec.mjs";
import { discountsByDepth } from "./interpolate.mjs";
import { pruneTables, scoreTables } from "./prune.mjs";
import { countInto, createTables } from "./tables.mjs";

const SPACE = 32;

/** Counts the text and scores every count. `onShare(i, n, tables, discounts)` is called n times while counting. */
export function count(symbols, alphabet, shape, shares = 1, onShare = () => {}) {
  const mask = letterMask(alphabet);
  const tables = createTables(shape);
  countInto(tables, symbols, mask, shares, (i, n) => onShare(i, n, tables, discountsOf(tables)));
  const discounts = discountsOf(tables);
  const scores = scoreTables(tables, discounts, alphabet.length, alphabet.indexOf(SPACE));
  return { tables, discounts, scores, mask };
}

function discountsOf(tables) {
  return {
    ngrams: discountsByDepth(tables.ngrams, tables.order + 1),
    words: tables.words ? discountsByDepth(tables.words, 8) : null,
  };
}

/** How many counts there are to choose from. */
export function available({ tables }) {
  return tables.ngrams.size - 1 + (tables.words ? tables.words.size - 1 : 0);
}

/**
 * Finds how many counts fit into `target` bytes. Size grows almost linearly with their number, so a secant through the
 * last measurement finds it in a few tries.
 * @returns {{ tables, keep, bytes }} the largest pruned tables found that fit
 */
export function pruneToFit(counted, target, artifactOf, onTry = () => {}) {
  let best = null;
  let [low, high] = [0, available(counted)];
  let keep = Math.min(high, Math.round(target * 1.1));
  let last = { keep: 0, bytes: 0 };
  for (let attempt = 1; attempt <= 7 && low < high; attempt++) {
    const tables = pruneTables(counted.tables, counted.scores, keep);
    const bytes = pack(artifactOf(tables, counted.discounts)).length;
    onTry(keep, bytes);
    if (bytes <= target) {
      best = { tables, keep, bytes };
      low = keep;
      if (bytes >= target * 0.992) break;
    } else {
      high = keep - 1;
    }
    const slope = (keep - last.keep) / (bytes - last.bytes);
    const guess = Math.round(keep + (target * 0.997 - bytes) * (slope > 0 ? slope : keep / bytes));
    last = { keep, bytes };
    keep = Math.min(high, Math.max(low + 1, guess));
  }
  if (!best) throw new Error(`not even an almost empty table fits into ${target} bytes`);
  return best;
}

export function tableSections(tables, alphabet) {
  const { ngrams, words } = tables;
  return {
    ...encodeTrie(ngrams, "n", selfGuide(ngrams, alphabet.length)),
    ...(words ? encodeTrie(words, "w", wordGuide(ngrams, alphabet.length, alphabet.indexOf(SPACE))) : {}),
  };
}

export function readTables({ params, alphabet, sections }) {
  const ngrams = decodeTrie(sections, "n", (trie) => selfGuide(trie, alphabet.length));
  const words = params.words
    ? decodeTrie(sections, "w", () => wordGuide(ngrams, alphabet.length, alphabet.indexOf(SPACE)))
    : null;
  return { order: params.order, ngrams, words };
}
