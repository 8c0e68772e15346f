/** A function that makes its value at the first call and then returns the same promise. After a rejection it tries again. */
export interface Memoized<Value> {
  (): Promise<Value>;
  /** The promise of the value; null before the first call and after a failure. Starts nothing. */
  current(): Promise<Value> | null;
}

export function memoizeUntilFailure<Value>(make: () => Promise<Value>): Memoized<Value> {
  const cache = new PromiseCache<null, Value>();
  return Object.assign(() => cache.getOrMake(null, make), { current: () => cache.get(null) });
}

/** Like `memoizeUntilFailure` with one value per key. A rejected promise leaves the cache before its callers see the failure. */
export class PromiseCache<Key, Value> {
  readonly #promises = new Map<Key, Promise<Value>>();

  getOrMake(key: Key, make: () => Promise<Value>): Promise<Value> {
    const known = this.#promises.get(key);
    if (known) return known;
    const made = make();
    this.#promises.set(key, made);
    made.catch(() => {
      if (this.#promises.get(key) === made) this.#promises.delete(key); // the key may have been deleted and made again
    });
    return made;
  }

  /** The promise of the value; null where there is none. */
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
