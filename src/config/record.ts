import { z } from "zod";

type Definition = z.core.$ZodRecordDef;
type Run = (payload: z.core.ParsePayload, context: z.core.ParseContextInternal) => z.core.ParsePayload;

/** Zod takes an object with the first name for one of another class, and passes over the second one without a word. */
const REFUSED_NAMES = ["constructor", "__proto__"];

/** `z.record` with its error texts and its JSON Schema, in which any name may stand. */
const AnyRecord = z.core.$constructor<z.ZodRecord>("ZodRecord", (schema, definition) => {
  z.ZodRecord.init(schema, definition);
  const { parse } = schema._zod;
  schema._zod.parse = (payload, context) => {
    const given: unknown = payload.value;
    const names = isObject(given) ? REFUSED_NAMES.filter((name) => Object.hasOwn(given, name)) : [];
    if (!isObject(given) || names.length === 0) return parse(payload, context);
    payload.value = Object.fromEntries(Object.entries(given).filter(([name]) => !names.includes(name)));
    const parsed = parse(payload, context);
    if (parsed instanceof Promise) throw new Error("the values of a record are checked at once");
    const own = new Map(Object.entries(parsed.value as object));
    for (const name of names) own.set(name, parseEntry(definition, [name, given[name]], parsed, context));
    // In the order in which they were given.
    parsed.value = Object.fromEntries(Object.keys(given).map((name) => [name, own.get(name)]));
    return parsed;
  };
});

/** The value of one name. Adds to `parsed` what is wrong with either. */
function parseEntry(
  { keyType, valueType }: Definition,
  [name, given]: readonly [name: string, value: unknown],
  parsed: z.core.ParsePayload,
  context: z.core.ParseContextInternal,
): unknown {
  const run = (type: z.core.$ZodType, value: unknown) => (type._zod.run as Run)({ value, issues: [] }, context);
  const [key, result] = [run(keyType, name), run(valueType, given)];
  if (key.issues.length > 0) {
    const issues = key.issues.map((issue) => z.core.util.finalizeIssue(issue, context, z.core.config()));
    parsed.issues.push({ code: "invalid_key", origin: "record", issues, input: name, path: [name] });
  } else parsed.issues.push(...z.core.util.prefixIssues(name, result.issues));
  return result.value;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object whose names users or models choose, such as "constructor". */
export const recordOf = <K extends z.ZodString, V extends z.ZodType>(
  key: K,
  value: V,
  error?: (issue: z.core.$ZodRawIssue) => string | undefined,
): z.ZodRecord<K, V> =>
  new AnyRecord({
    type: "record",
    keyType: key,
    valueType: value,
    ...(error && { error }),
  } as unknown as z.core.$ZodRecordDef) as unknown as z.ZodRecord<K, V>;
