/** A call made once, at its first use: later callers get the same promise. After a rejection the next caller tries again. */
export interface Memoized<Value> {
  (): Promise<Value>;
  /** The call under way or done; null before the first use and after a failure. Starts nothing. */
  current(): Promise<Value> | null;
}

export function memoizeUntilFailure<Value>(make: () => Promise<Value>): Memoized<Value> {
  const cache = new PromiseCache<null, Value>();
  return Object.assign(() => cache.getOrMake(null, make), { current: () => cache.get(null) });
}

/** Like `memoizeUntilFailure`, with one call per key. A rejected call leaves the cache before its callers learn of the failure. */
export class PromiseCache<Key, Value> {
  readonly #promises = new Map<Key, Promise<Value>>();

  getOrMake(key: Key, make: () => Promise<Value>): Promise<Value> {
    const known = this.#promises.get(key);
    if (known) return known;
    const made = make();
    this.#promises.set(key, made);
    made.catch(() => {
      if (this.#promises.get(key) === made) this.#promises.delete(key); // it may have been deleted and made anew
    });
    return made;
  }

  /** The call under way or done; null where there is none. */
  get(key: Key): Promise<Value> | null {
    return this.#promises.get(key) ?? null;
  }

  delete(key: Key): void {
    this.#promises.delete(key);
  }

  values(): Promise<Value>[] {
    return [...this.#promises.values()];
  }
}
