/** Runs operations of one key strictly one after another; those of different keys go on side by side. */
export interface SerialQueues {
  run<T>(key: string, operation: () => Promise<T>): Promise<T>;
  /** Resolves when what was under way has ended. */
  settled(): Promise<void>;
}

export function createSerialQueues(): SerialQueues {
  const tails = new Map<string, Promise<void>>();
  return {
    run(key, operation) {
      const result = (tails.get(key) ?? Promise.resolve()).then(operation, operation);
      const tail = result.then(
        () => {},
        () => {},
      );
      tails.set(key, tail);
      void tail.then(() => {
        if (tails.get(key) === tail) tails.delete(key);
      });
      return result;
    },
    async settled() {
      await Promise.all(tails.values());
    },
  };
}
