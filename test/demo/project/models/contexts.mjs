import { NONE, ROOT } from "./trie.mjs";

/** The nodes of all contexts that end at the current position. Moves by one symbol at a time. */
export class Contexts {
  constructor(trie, order) {
    this.trie = trie;
    this.order = order;
    /** depth → node of the last `depth` symbols; NONE where that string is unknown */
    this.nodes = new Int32Array(order + 1).fill(NONE);
    this.nodes[0] = ROOT;
  }

  update(symbol) {
    for (let depth = this.order; depth >= 1; depth--) {
      const before = this.nodes[depth - 1];
      this.nodes[depth] = before === NONE ? NONE : this.trie.child(before, symbol);
    }
  }

  /** As `update`, but counts the symbol in all contexts first. */
  learn(symbol) {
    this.trie.count[ROOT]++;
    for (let depth = this.order; depth >= 0; depth--) {
      const next = this.nodes[depth] === NONE ? NONE : this.trie.add(this.nodes[depth], symbol);
      if (depth < this.order) this.nodes[depth + 1] = next;
    }
  }
}
