import { expect, test } from "bun:test";
import { z } from "zod";
import { benchmarkSchema } from "../../../src/config/benchmark.ts";
import { recordOf } from "../../../src/config/record.ts";
import { optionsSchema } from "../../../src/config/schema.ts";

const NAMES = ["constructor", "__proto__", "toString", "hasOwnProperty", "prototype", "loss"];
const objectOf = (names: readonly string[], value: unknown) => Object.fromEntries(names.map((name) => [name, value]));

test("a record takes names that objects have by themselves, and keeps their order", () => {
  const schema = recordOf(z.string(), z.number()).optional().describe("numbers");
  const parsed = schema.parse(objectOf(NAMES, 1));
  expect(Object.entries(parsed ?? {})).toEqual(NAMES.map((name) => [name, 1]));
  expect(Object.getPrototypeOf(parsed)).toBe(Object.prototype);
});

test("the values and names of such entries are checked like all others", () => {
  const schema = recordOf(z.string().regex(/^[a-z]+$/, { error: "small letters" }), z.number({ error: "a number" }));
  const failed = schema.safeParse(JSON.parse('{ "constructor": "x", "__proto__": 1, "a": 1, "b": "y" }'));
  expect(failed.error?.issues.map(({ path, code }) => [path.join("."), code])).toEqual([
    ["b", "invalid_type"],
    ["constructor", "invalid_type"],
    ["__proto__", "invalid_key"],
  ]);
  for (const other of [null, 1, "x", [], new Map()]) expect(schema.safeParse(other).success).toBeFalse();
});

test("its JSON Schema is that of any other record", () => {
  const [own, usual] = [recordOf(z.string().min(1), z.number()), z.record(z.string().min(1), z.number())];
  expect(z.toJSONSchema(own)).toEqual(z.toJSONSchema(usual));
});

test("benchmarks, environments, and texts of metrics may be called so", () => {
  const benchmark = { command: "true", metric: "constructor", direction: "min", metrics: { constructor: "loss:" } };
  const options = optionsSchema.parse({ benchmarks: { constructor: benchmark }, environments: { constructor: {} } });
  expect(options.benchmarks).toEqual({ constructor: benchmarkSchema.parse(benchmark) } as never);
  expect(Object.keys(options.environments)).toEqual(["default", "constructor"]);
});
