// Tables ↔ byte sections, depth by depth. A child is written not as its symbol but as its rank in what the shorter
// context predicts, which the reader already knows: mostly small numbers, which compress to half the size.

import { fromLevel, toLevel } from "./levels.mjs";
import { suffixLinks } from "./prune.mjs";
import { follow, NONE, ROOT, Trie } from "./trie.mjs";

/**
 * Writes `trie` as sections `<name>.fan<depth>` (children per context), `.rank<depth>` (gaps between their ranks) and
 * `.level<depth>` (their counts). `guide` ranks symbols.
 */
export function encodeTrie(trie, name, guide) {
  const sections = {};
  let layer = [{ node: ROOT, state: guide.start }];
  for (let depth = 0; layer.length > 0; depth++) {
    const fans = [];
    const gaps = [];
    const levels = [];
    const next = [];
    for (const { node, state } of layer) {
      const children = trie.children(node);
      fans.push(children.length);
      if (children.length === 0) continue;
      const rankOf = inverse(guide.ranking(state));
      children.sort((a, b) => rankOf[trie.symbol[a]] - rankOf[trie.symbol[b]]);
      let previous = -1;
      for (const id of children) {
        const rank = rankOf[trie.symbol[id]];
        gaps.push(rank - previous - 1);
        previous = rank;
        levels.push(toLevel(trie.count[id]));
        next.push({ node: id, state: guide.next(state, trie.symbol[id], id) });
      }
    }
    if (gaps.length === 0) break;
    sections[`${name}.fan${depth}`] = Uint8Array.from(fans);
    sections[`${name}.rank${depth}`] = Uint8Array.from(gaps);
    sections[`${name}.level${depth}`] = Uint8Array.from(levels);
    layer = next;
  }
  sections[`${name}.total`] = Uint8Array.of(toLevel(trie.count[ROOT]));
  return sections;
}

/** Inverse of `encodeTrie`. `createGuideFor` gets the growing trie, for tries that guide themselves. */
export function decodeTrie(sections, name, createGuideFor) {
  const trie = new Trie(1 << 12);
  const guide = createGuideFor(trie);
  trie.count[ROOT] = fromLevel(required(sections, `${name}.total`)[0]);
  let layer = [{ node: ROOT, state: guide.start }];
  for (let depth = 0; sections[`${name}.fan${depth}`]; depth++) {
    const fans = sections[`${name}.fan${depth}`];
    const gaps = required(sections, `${name}.rank${depth}`);
    const levels = required(sections, `${name}.level${depth}`);
    const next = [];
    let at = 0;
    for (const [i, { node, state }] of layer.entries()) {
      if (!fans[i]) continue;
      const ranking = guide.ranking(state);
      let rank = -1;
      for (const end = at + fans[i]; at < end; at++) {
        rank += gaps[at] + 1;
        if (!(rank < ranking.length)) throw new Error(`the artifact is damaged: ${name}, depth ${depth}, rank ${rank}`);
        const symbol = ranking[rank];
        const id = trie.add(node, symbol, fromLevel(levels[at]));
        next.push({ node: id, state: guide.next(state, symbol, id) });
      }
    }
    layer = next;
  }
  return trie;
}

/**
 * Ranks symbols by what follows the longest known suffix of a context, then by what follows that one's suffix, and so
 * on; symbols none of them knows come last. Only whole counts are compared: writer and reader cannot disagree.
 */
function createGuide({ trie, suffix, start, symbols, onNode }) {
  const cache = new Map();
  const ranking = (state) => {
    const known = cache.get(state);
    if (known) return known;
    const order = new Set();
    for (let at = state; at !== NONE; at = suffix[at]) {
      const children = trie.children(at);
      children.sort((a, b) => trie.count[b] - trie.count[a] || trie.symbol[a] - trie.symbol[b]);
      for (const id of children) order.add(trie.symbol[id]);
    }
    for (let symbol = 0; symbol < symbols; symbol++) order.add(symbol);
    const ranked = Uint8Array.from(order);
    cache.set(state, ranked);
    return ranked;
  };
  const next = (state, symbol, node) => {
    const to = state === NONE ? ROOT : follow(trie, suffix, state, symbol);
    onNode(node, to);
    return to;
  };
  return { start, ranking, next };
}

/**
 * An n-gram trie guides itself: when the children of a context are read, its suffixes' children, one depth less deep,
 * have all been read already. The state of a node is its suffix.
 */
export function selfGuide(trie, symbols) {
  const suffix = [NONE];
  const onNode = (node, to) => {
    suffix[node] = to;
  };
  return createGuide({ trie, suffix, start: NONE, symbols, onNode });
}

/** A words trie is guided by the n-grams; the state of a node is the longest n-gram that ends where the node ends. */
export function wordGuide(ngrams, symbols, boundary) {
  const start = ngrams.child(ROOT, boundary);
  const suffix = suffixLinks(ngrams);
  return createGuide({ trie: ngrams, suffix, start: start === NONE ? ROOT : start, symbols, onNode: () => {} });
}

function inverse(ranking) {
  const rankOf = new Uint8Array(ranking.length);
  for (let rank = 0; rank < ranking.length; rank++) rankOf[ranking[rank]] = rank;
  return rankOf;
}

function required(sections, name) {
  if (!sections[name]) throw new Error(`the artifact is damaged: section "${name}" is missing`);
  return sections[name];
}
