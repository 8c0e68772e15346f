const MOST_CHARS = 64;

/**
 * Gives each sandbox of this process a name of its own: the wanted one, and from the second time on with an id behind it.
 * Modal holds the name of a terminated sandbox until that has ended.
 * @param ids unique ids of `[A-Za-z0-9_-]`
 */
export function createFreshNames(ids: () => string): (wanted: string) => string {
  const given = new Set<string>();
  return (wanted) => {
    const id = given.has(wanted) ? `-${ids().slice(0, 10)}` : "";
    given.add(wanted);
    return wanted.slice(0, MOST_CHARS - id.length) + id;
  };
}
