/**
 * Options that the schema has and this version does not implement. Setting one is an error, so that nobody relies on it.
 * Delete a line here when its feature is built.
 * In a pattern `*` stands for any one key; `when` limits the refusal to some values.
 */
const UNBUILT: readonly {
  readonly pattern: string;
  readonly when?: (value: unknown) => boolean;
  readonly instead?: string;
}[] = [
  {
    pattern: "modal.persistence",
    when: (value) => value !== "snapshot_filesystem",
    instead: 'use "snapshot_filesystem" or remove it',
  },
  { pattern: "local.gpus" },
  ...["setup", "refreshMinutes", "warm"].map((key) => ({ pattern: `environments.*.${key}` })),
];

export interface UnbuiltUse {
  readonly path: readonly string[];
  /** What the user can do, as an imperative. */
  readonly instead: string;
}

/**
 * Every use of an unbuilt option.
 * @param given what the user wrote, unchecked
 * @param isKnown whether the schema has a key; misspelt ones are reported elsewhere
 */
export function findUnbuilt(given: unknown, isKnown: (path: readonly string[]) => boolean): UnbuiltUse[] {
  return UNBUILT.flatMap(({ pattern, when, instead = "remove it" }) =>
    matches(given, pattern.split("."), [])
      .filter(({ path, value }) => isKnown(path) && (when?.(value) ?? true))
      .map(({ path }) => ({ path, instead })),
  );
}

/** The patterns of unbuilt options, and whether all values are refused or only some. */
export const unbuiltOptions = (): { readonly pattern: string; readonly isPartial: boolean }[] =>
  UNBUILT.map(({ pattern, when }) => ({ pattern, isPartial: when !== undefined }));

function matches(
  value: unknown,
  pattern: readonly string[],
  path: readonly string[],
): { path: readonly string[]; value: unknown }[] {
  const [step, ...rest] = pattern;
  if (step === undefined) return [{ path, value }];
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const keys = step === "*" ? Object.keys(value) : Object.hasOwn(value, step) ? [step] : [];
  return keys.flatMap((key) => matches((value as Record<string, unknown>)[key], rest, [...path, key]));
}
