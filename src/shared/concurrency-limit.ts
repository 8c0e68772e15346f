/** Runs at most `count` operations at a time; further ones wait in the order of their calls. */
export function createConcurrencyLimit(count: number) {
  let free = count;
  const waiting: (() => void)[] = [];
  return async <T>(operation: () => Promise<T>): Promise<T> => {
    if (free > 0) free -= 1;
    else await new Promise<void>((go) => waiting.push(go));
    try {
      return await operation();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else free += 1;
    }
  };
}
