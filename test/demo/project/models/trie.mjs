// Counts of strings. A node is a string, its count how often that string occurred; the children of a node are the
// symbols that followed it.

export const ROOT = 0;
export const NONE = -1;

export class Trie {
  parent = [NONE];
  symbol = [NONE];
  count = [0];
  firstChild = [NONE];
  nextSibling = [NONE];
  #ids = new Map();

  get size() {
    return this.count.length;
  }

  /** The child of `node` by `symbol`, or NONE. */
  child(node, symbol) {
    return this.#ids.get(node * 256 + symbol) ?? NONE;
  }

  /** Adds `count` to the child of `node` by `symbol`, which is created when missing; returns the child. */
  add(node, symbol, count = 1) {
    let id = this.child(node, symbol);
    if (id === NONE) {
      id = this.size;
      this.parent.push(node);
      this.symbol.push(symbol);
      this.count.push(0);
      this.firstChild.push(NONE);
      this.nextSibling.push(this.firstChild[node]);
      this.firstChild[node] = id;
      this.#ids.set(node * 256 + symbol, id);
    }
    this.count[id] += count;
    return id;
  }

  /** Ids of the children of `node`, in ascending order of their symbols. */
  children(node) {
    const ids = [];
    for (let id = this.firstChild[node]; id !== NONE; id = this.nextSibling[id]) ids.push(id);
    return ids.sort((a, b) => this.symbol[a] - this.symbol[b]);
  }
}
