/** Options from one source. `value` is what the source contains, unchecked. */
export interface Layer {
  /** Name of the source in messages: a file's path, or "opencode.json". */
  readonly source: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether an object is replaced and not merged: a narrower network must not inherit what a wider one allowed. */
const isReplaced = (path: readonly string[]): boolean =>
  path.length === 3 && path[0] === "environments" && (path[2] === "image" || path[2] === "network");

/** Merges layers key by key. Later layers win; lists are replaced. */
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
    // Options built in code may have `undefined`, which means "not set".
    if (value === undefined) continue;
    merged.set(key, isObject(below) && isObject(value) && !isReplaced(here) ? mergeObjects(below, value, here) : value);
  }
  return Object.fromEntries(merged); // in place of assignments, so that "__proto__" stays an ordinary key, which the schema rejects
}

/** Name of the layer that sets the value at `path`, or else at the nearest path above it. */
export function sourceOf(layers: readonly Layer[], path: readonly string[]): string {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const found = layers.findLast(({ value }) => valueAt(value, path.slice(0, depth)) !== undefined);
    if (found !== undefined) return found.source;
  }
  return layers.at(-1)?.source ?? "opencode.json";
}

/** The value at `path`; undefined if there is none. */
export function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === "object" && at !== null && Object.hasOwn(at, key) ? Reflect.get(at, key) : undefined),
    value,
  );
}
