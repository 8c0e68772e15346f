/**
 * Options that the schema has and this version does not implement. Setting one is an error, so that nobody relies on it.
 * Delete a line here when its feature is built.
 * In a pattern `*` stands for any one key.
 */
const UNBUILT: readonly string[] = ["warm"].map((key) => `environments.*.${key}`);

/**
 * Every use of an unbuilt option.
 * @param given what the user wrote, unchecked
 * @param isKnown whether the schema has a key; misspelt ones are reported elsewhere
 */
export function findUnbuilt(given: unknown, isKnown: (path: readonly string[]) => boolean): (readonly string[])[] {
  return UNBUILT.flatMap((pattern) => matches(given, pattern.split("."), []).filter(isKnown));
}

/** The patterns of unbuilt options. */
export const unbuiltOptions = (): readonly string[] => UNBUILT;

function matches(value: unknown, pattern: readonly string[], path: readonly string[]): (readonly string[])[] {
  const [step, ...rest] = pattern;
  if (step === undefined) return [path];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const keys = step === "*" ? Object.keys(value) : Object.hasOwn(value, step) ? [step] : [];
  return keys.flatMap((key) => matches((value as Record<string, unknown>)[key], rest, [...path, key]));
}
