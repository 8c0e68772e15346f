// The counts the count-based models share: `ngrams` (every string up to length order + 1) and, if wanted, `words`
// (strings that begin where a word begins, so that a context reaches back to the start of the word however long it is).
import { NONE, ROOT, Trie } from "./trie.mjs";

const MAX_WORD = 18;

/** Where a reader stands: the node of each context that ends here. Moves by one symbol at a time. */
export class Contexts {
  constructor(tables, mask) {
    this.tables = tables;
    this.mask = mask;
    /** depth → node of the last `depth` symbols in `ngrams`, NONE where that string is unknown */
    this.nodes = new Int32Array(tables.order + 1).fill(NONE);
    this.nodes[0] = ROOT;
    /** node in `words` of the word so far; ROOT at a word's beginning, NONE between words or in an unknown one */
    this.word = ROOT;
    this.wordLength = 0;
  }

  update(symbol) {
    const { ngrams, words, order } = this.tables;
    for (let depth = order; depth >= 1; depth--) {
      const before = this.nodes[depth - 1];
      this.nodes[depth] = before === NONE ? NONE : ngrams.child(before, symbol);
    }
    this.#updateWord(words, symbol);
  }

  /** As `update`, but counts the symbol in all contexts first. */
  learn(symbol) {
    const { ngrams, words, order } = this.tables;
    ngrams.count[ROOT]++;
    let next = NONE;
    for (let depth = order; depth >= 0; depth--) {
      next = this.nodes[depth] === NONE ? NONE : ngrams.add(this.nodes[depth], symbol);
      if (depth < order) this.nodes[depth + 1] = next;
    }
    if (words && this.word !== NONE && this.wordLength < MAX_WORD) {
      if (this.mask[symbol] || this.wordLength > 0) words.add(this.word, symbol);
      if (this.mask[symbol] && this.wordLength === 0) words.count[ROOT]++;
    }
    this.#updateWord(words, symbol);
  }

  #updateWord(words, symbol) {
    if (!words) return;
    if (this.mask[symbol]) {
      this.word = this.word === NONE ? NONE : words.child(this.word, symbol);
      this.wordLength++;
    } else {
      this.word = ROOT;
      this.wordLength = 0;
    }
  }
}

/** @returns tables `{ order, ngrams, words | null }`, empty */
export function createTables({ order, words }) {
  return { order, ngrams: new Trie(1 << 16), words: words ? new Trie(1 << 14) : null };
}

/** Counts `symbols` into `tables`, calling `onShare(i, n)` n times on the way. */
export function countInto(tables, symbols, mask, shares = 1, onShare = () => {}) {
  const contexts = new Contexts(tables, mask);
  for (let share = 0; share < shares; share++) {
    const end = Math.floor((symbols.length * (share + 1)) / shares);
    for (let i = Math.floor((symbols.length * share) / shares); i < end; i++) contexts.learn(symbols[i]);
    onShare(share + 1, shares);
  }
  return tables;
}
