/** One place options come from. `value` is what was written there; nothing about it is known yet. */
export interface Layer {
  /** What messages call it: a file's path, or "opencode.json". */
  readonly source: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Alternatives that make sense only as a whole: a narrower network must not inherit what a wider one allowed. */
const isWhole = (path: readonly string[]): boolean =>
  path.length === 3 && path[0] === "environments" && (path[2] === "image" || path[2] === "network");

/** All layers as one, later ones over earlier ones, key by key; lists are replaced. */
export const mergeLayers = (layers: readonly Layer[]): Record<string, unknown> =>
  layers.reduce<Record<string, unknown>>((merged, { value }) => mergeObjects(merged, value, []), {});

function mergeObjects(
  under: Record<string, unknown>,
  over: Record<string, unknown>,
  path: readonly string[],
): Record<string, unknown> {
  const merged = new Map(Object.entries(under));
  for (const [key, value] of Object.entries(over)) {
    const below = merged.get(key);
    const here = [...path, key];
    // `undefined` comes from options built in code and means "not set".
    if (value === undefined) continue;
    merged.set(key, isObject(below) && isObject(value) && !isWhole(here) ? mergeObjects(below, value, here) : value);
  }
  return Object.fromEntries(merged); // Not assignment: "__proto__" stays an ordinary, refusable key.
}

/** The layer whose value counts at `path`, or at the nearest place above it that a layer wrote. */
export function sourceOf(layers: readonly Layer[], path: readonly string[]): string {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const found = layers.findLast(({ value }) => valueAt(value, path.slice(0, depth)) !== undefined);
    if (found !== undefined) return found.source;
  }
  return layers.at(-1)?.source ?? "opencode.json";
}

/** What is at `path`; undefined when there is nothing. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined),
    value,
  );
}
