import { expect, test } from "bun:test";
import { createJsonSchema } from "../../../src/config/json-schema.ts";
import { optionsSchema } from "../../../src/config/schema.ts";

type Node = { properties?: Record<string, Node>; additionalProperties?: unknown; description?: string; anyOf?: Node[] };

/** Keys of `config` that the schema does not know, by structure: enough of JSON Schema for what ours consists of. */
function strangers(schema: Node, config: unknown, path = ""): string[] {
  if (typeof config !== "object" || config === null || Array.isArray(config)) return [];
  if (schema.anyOf !== undefined) {
    return schema.anyOf.map((branch) => strangers(branch, config, path)).sort((a, b) => a.length - b.length)[0] ?? [];
  }
  return Object.entries(config).flatMap(([key, value]) => {
    const other = typeof schema.additionalProperties === "object" ? (schema.additionalProperties as Node) : undefined;
    const next = schema.properties?.[key] ?? other;
    return next === undefined ? [`${path}${key}`] : strangers(next, value, `${path}${key}.`);
  });
}

const schema = createJsonSchema() as Node;

test("the JSON Schema knows every key of a full configuration, and $schema", () => {
  const sample = {
    $schema: "./parallel-agents.schema.json",
    ...optionsSchema.parse({}),
    gpuLimits: { total: 4, H100: 2 },
    environments: {
      big: {
        ...optionsSchema.parse({}).environments.default,
        image: { dockerfile: ["RUN true"], base: "debian" },
        network: { domains: ["pypi.org"], cidrs: [] },
        buckets: { "/mnt/x": { bucket: "b", readOnly: true } },
      },
    },
  };
  expect(strangers(schema, sample)).toEqual([]);
});

test("the JSON Schema refuses keys that loading refuses", () => {
  expect(strangers(schema, { typo: 1, local: { typo: 2 }, environments: { a: { typo: 3 } } })).toEqual([
    "typo",
    "local.typo",
    "environments.a.typo",
  ]);
});

test("every option is described", () => {
  const nameless = Object.entries(schema.properties ?? {}).filter(([, node]) => !node.description);
  expect(nameless.map(([key]) => key)).toEqual([]);
});

test("the JSON Schema is plain data", () => {
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema);
});
