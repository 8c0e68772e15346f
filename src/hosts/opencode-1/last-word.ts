/** How OpenCode reads the system entries once every plugin has had its turn. @source OpenCode 1.18.33, verified */
const READS = ["map", "join"] as const;

/**
 * Calls `finish` with the entries when they are read. OpenCode hands one array to its plugins in turn, and a plugin that
 * follows this one may replace what this one has written; there is no hook after the last of them. A plugin that reads
 * the entries in the same way also has them finished first, so `finish` must be safe to repeat.
 */
export function haveTheLastWord(entries: string[], finish: (entries: string[]) => void): void {
  for (const read of READS) {
    const original = entries[read] as (...args: unknown[]) => unknown;
    const value = (...args: unknown[]) => {
      finish(entries);
      return original.apply(entries, args);
    };
    Object.defineProperty(entries, read, { value, configurable: true, writable: true });
  }
}
