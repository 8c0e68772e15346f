/*
 * Thousands of jobs are listed again and again, and nearly all of them have ended. Lists with the same content are made
 * the same object here, so that what was worked out about one is known the next time.
 */

/** The newest list that ends with an object. */
export type StableLists<T extends object> = WeakMap<T, readonly T[]>;

/** The list that was given here before with exactly these objects in this order, else this one. */
export function stable<T extends object>(known: StableLists<T>, list: readonly T[]): readonly T[] {
  const last = list.at(-1);
  if (last === undefined) return list;
  const former = known.get(last);
  if (former?.length === list.length && former.every((one, index) => one === list[index])) return former;
  known.set(last, list);
  return list;
}

/** The function, which works its result out once for each list. */
export function perList<T extends object, R>(work: (list: readonly T[]) => R): (list: readonly T[]) => R {
  const results = new WeakMap<readonly T[], { readonly result: R }>();
  return (list) => {
    const known = results.get(list);
    if (known) return known.result;
    const result = work(list);
    results.set(list, { result });
    return result;
  };
}
