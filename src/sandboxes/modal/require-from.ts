import { createRequire } from "node:module";

/** Loads the last of `names` as a dependency of the one before it, and so on up to the first, a dependency of ours. */
export function requireFrom(...names: readonly string[]): unknown {
  let from = createRequire(import.meta.url);
  for (const name of names.slice(0, -1)) from = createRequire(from.resolve(name));
  return from(names.at(-1) as string);
}
