/**
 * What the schema knows and this version does not do yet. Setting it is refused rather than ignored, so that nobody
 * relies on a limit that is not kept. Delete a line when its feature is there.
 * A pattern's `*` stands for any one key; `when` narrows the refusal to some values.
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
  /** What the user can do. */
  readonly instead: string;
}

/** Every use of an unbuilt option in `given`, which is whatever the user wrote. `isKnown` spares misspelt keys. */
export function findUnbuilt(given: unknown, isKnown: (path: readonly string[]) => boolean): UnbuiltUse[] {
  return UNBUILT.flatMap(({ pattern, when, instead = "remove it" }) =>
    matches(given, pattern.split("."), [])
      .filter(({ path, value }) => isKnown(path) && (when?.(value) ?? true))
      .map(({ path }) => ({ path, instead })),
  );
}

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
