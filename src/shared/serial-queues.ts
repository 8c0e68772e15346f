/** Runs operations with the same key one after another, and operations with different keys concurrently. */
export interface SerialQueues {
  run<T>(key: string, operation: () => Promise<T>): Promise<T>;
  /** Resolves when all operations queued so far have ended. */
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
