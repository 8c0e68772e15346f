// The counts of a text: counting, pruning until they fit under the cap, writing and reading.
import { pack } from "../lib/artifact.mjs";
import { Contexts } from "./contexts.mjs";
import { ROOT, Trie } from "./trie.mjs";

/** Counts every string of up to `order` + 1 symbols; `onShare(i, n, trie)` is called n times on the way. */
export function countStrings(symbols, order, shares = 1, onShare = () => {}) {
  const contexts = new Contexts(new Trie(), order);
  for (let share = 0; share < shares; share++) {
    const end = Math.floor((symbols.length * (share + 1)) / shares);
    for (let i = Math.floor((symbols.length * share) / shares); i < end; i++) contexts.learn(symbols[i]);
    onShare(share + 1, shares, contexts.trie);
  }
  return contexts.trie;
}

/** The `keep` most frequent strings. A string is at least as frequent as any that begins with it, so paths stay whole. */
export function prune(trie, keep) {
  const ids = Array.from({ length: trie.size - 1 }, (_, i) => i + 1).sort((a, b) => trie.count[b] - trie.count[a]);
  const copy = new Trie();
  copy.count[ROOT] = rounded(trie.count[ROOT]);
  const target = new Map([[ROOT, ROOT]]);
  for (const id of ids.slice(0, keep).sort((a, b) => a - b)) {
    const parent = target.get(trie.parent[id]);
    if (parent !== undefined) target.set(id, copy.add(parent, trie.symbol[id], rounded(trie.count[id])));
  }
  return copy;
}

/**
 * The largest pruned trie found whose artifact has at most `target` bytes. The size grows almost linearly with the
 * number of counts, so a rule of three finds it in a few tries.
 */
export function pruneToFit(trie, target, artifactOf, onTry) {
  let best = null;
  let [low, high] = [0, trie.size - 1];
  let keep = Math.min(high, Math.floor(target));
  for (let attempt = 1; attempt <= 7 && low < high; attempt++) {
    const pruned = prune(trie, keep);
    const bytes = pack(artifactOf(pruned)).length;
    onTry(keep, bytes);
    if (bytes <= target) [best, low] = [pruned, keep];
    else high = keep - 1;
    if (best === pruned && bytes >= target * 0.99) break;
    keep = Math.min(high, Math.max(low + 1, Math.round((keep * target * 0.995) / bytes)));
  }
  if (!best) throw new Error(`not even an almost empty table fits into ${target} bytes`);
  return best;
}

/** Sections `fan<depth>` (children per string), `gap<depth>` (gaps between their symbols), `level<depth>` (counts). */
export function tableSections(trie) {
  const sections = { total: Uint8Array.of(levelOf(trie.count[ROOT])) };
  for (let depth = 0, layer = [ROOT]; layer.length > 0; depth++) {
    const [fans, gaps, levels, next] = [[], [], [], []];
    for (const node of layer) {
      const children = trie.children(node);
      fans.push(children.length);
      let previous = -1;
      for (const id of children) {
        gaps.push(trie.symbol[id] - previous - 1);
        levels.push(levelOf(trie.count[id]));
        previous = trie.symbol[id];
      }
      next.push(...children);
    }
    sections[`fan${depth}`] = Uint8Array.from(fans);
    sections[`gap${depth}`] = Uint8Array.from(gaps);
    sections[`level${depth}`] = Uint8Array.from(levels);
    layer = next;
  }
  return sections;
}

/** Inverse of `tableSections`. */
export function readTable(sections) {
  const trie = new Trie();
  trie.count[ROOT] = LEVELS[sections.total[0]];
  for (let depth = 0, layer = [ROOT]; sections[`fan${depth}`]; depth++) {
    const next = [];
    let at = 0;
    for (const [i, node] of layer.entries()) {
      let symbol = -1;
      for (const end = at + sections[`fan${depth}`][i]; at < end; at++) {
        symbol += sections[`gap${depth}`][at] + 1;
        next.push(trie.add(node, symbol, LEVELS[sections[`level${depth}`][at]]));
      }
    }
    layer = next;
  }
  return trie;
}

/** Counts are kept as levels: 0 to 4 exactly, then steps of about 25 %. */
const LEVELS = [0, 1, 2, 3, 4];
while (LEVELS.at(-1) < 2 ** 24) LEVELS.push(Math.max(LEVELS.at(-1) + 1, Math.round(LEVELS.at(-1) * 1.25)));

const levelOf = (count) => LEVELS.findLastIndex((value) => value <= count);
const rounded = (count) => LEVELS[levelOf(count)];
