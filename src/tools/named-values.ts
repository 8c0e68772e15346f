import { isObject } from "./argument-names.ts";

/** { "name": "loss", "value": 2 } */
export const isPair = (given: unknown): boolean =>
  isObject(given) &&
  typeof given.name === "string" &&
  (given.value ?? given.values) !== undefined &&
  Object.keys(given).length === 2;

/**
 * [{ "name": "loss", "value": 2 }] as { "loss": 2 }, and [{ "loss": 2 }, { "acc": 1 }] as one object. A name that comes
 * twice has no one meaning: in a matrix it would be a list of combinations, of which the last alone would be left. Nor has
 * { "name": "LR", "min": 0, "max": 1 }, which describes a name, and would be three.
 */
export function fromPairs(list: readonly unknown[]): unknown {
  const objects = list.filter(isObject);
  if (objects.length < list.length) return list;
  const pairs = objects.flatMap(({ name, value, values = value }) =>
    typeof name === "string" && values !== undefined ? [[name, values] as const] : [],
  );
  const isOfPairs = pairs.length === list.length;
  const entries = isOfPairs ? pairs : objects.flatMap((one) => Object.entries(one));
  const isDescribed = objects.some((one) => typeof one.name === "string" && Object.keys(one).length > 1);
  const isAmbiguous = new Set(entries.map(([name]) => name)).size < entries.length;
  return isAmbiguous || (isDescribed && !isOfPairs) ? list : Object.fromEntries(entries); // "__proto__" is a name as well
}
