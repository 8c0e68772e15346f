// Counts of strings. A node is a string, its count how often that string was seen; the children of a context are the
// symbols that followed it. Flat arrays and a hash from (parent, symbol), because a map of objects is ten times slower.

export const ROOT = 0;
export const NONE = -1;

export class Trie {
  size = 1;
  #slots = new Int32Array(1 << 12).fill(NONE);

  constructor(capacity = 1 << 11) {
    this.parent = new Int32Array(capacity).fill(NONE);
    this.symbol = new Uint8Array(capacity);
    this.count = new Int32Array(capacity);
    this.firstChild = new Int32Array(capacity).fill(NONE);
    this.nextSibling = new Int32Array(capacity).fill(NONE);
  }

  /** The child of `node` by `symbol`, or NONE. */
  child(node, symbol) {
    const mask = this.#slots.length - 1;
    for (let slot = hash(node, symbol) & mask; ; slot = (slot + 1) & mask) {
      const id = this.#slots[slot];
      if (id === NONE || (this.parent[id] === node && this.symbol[id] === symbol)) return id;
    }
  }

  /** Counts `symbol` after `node`, making the child when it is new; returns the child. */
  add(node, symbol, count = 1) {
    let id = this.child(node, symbol);
    if (id === NONE) id = this.#insert(node, symbol);
    this.count[id] += count;
    return id;
  }

  /** Children of `node`, as node ids. */
  children(node) {
    const ids = [];
    for (let id = this.firstChild[node]; id !== NONE; id = this.nextSibling[id]) ids.push(id);
    return ids;
  }

  #insert(node, symbol) {
    if (this.size === this.parent.length) this.#growNodes();
    if (this.size * 2 > this.#slots.length) this.#growSlots();
    const id = this.size++;
    this.parent[id] = node;
    this.symbol[id] = symbol;
    this.nextSibling[id] = this.firstChild[node];
    this.firstChild[node] = id;
    this.#place(id);
    return id;
  }

  #place(id) {
    const mask = this.#slots.length - 1;
    let slot = hash(this.parent[id], this.symbol[id]) & mask;
    while (this.#slots[slot] !== NONE) slot = (slot + 1) & mask;
    this.#slots[slot] = id;
  }

  #growSlots() {
    this.#slots = new Int32Array(this.#slots.length * 4).fill(NONE);
    for (let id = 1; id < this.size; id++) this.#place(id);
  }

  #growNodes() {
    const capacity = this.size * 2;
    for (const name of ["parent", "symbol", "count", "firstChild", "nextSibling"]) {
      const grown = new this[name].constructor(capacity).fill(name === "symbol" || name === "count" ? 0 : NONE);
      grown.set(this[name]);
      this[name] = grown;
    }
  }
}

function hash(node, symbol) {
  let h = Math.imul(node + 1, 0x9e3779b1) ^ Math.imul(symbol + 1, 0x85ebca6b);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  return (h ^ (h >>> 13)) >>> 0;
}

/** The longest suffix of (the string of `node`) + `symbol` that `trie` knows. `suffix` is each node's own longest suffix. */
export function follow(trie, suffix, node, symbol) {
  for (let at = node; at !== NONE; at = at === ROOT ? NONE : suffix[at]) {
    const next = trie.child(at, symbol);
    if (next !== NONE) return next;
  }
  return ROOT;
}
