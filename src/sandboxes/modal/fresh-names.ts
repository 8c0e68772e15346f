const MOST_CHARS = 64;

export interface FreshNames {
  /** A name that begins with this one and that this process has given to no sandbox yet. */
  take(wanted: string): string;
  /** Takes back a name under which nothing was made. */
  giveBack(name: string): void;
}

/**
 * Gives each sandbox of this process a name of its own: the wanted one, and from the second time on with an id behind it.
 * Modal holds the name of a terminated sandbox until that has ended.
 * @param ids unique ids of `[A-Za-z0-9_-]`
 */
export function createFreshNames(ids: () => string): FreshNames {
  const given = new Set<string>();
  return {
    take(wanted) {
      const name = wanted.slice(0, MOST_CHARS);
      if (!given.has(name)) {
        given.add(name);
        return name;
      }
      const id = `-${ids().slice(0, 10)}`;
      return name.slice(0, MOST_CHARS - id.length) + id;
    },
    giveBack: (name) => void given.delete(name),
  };
}
