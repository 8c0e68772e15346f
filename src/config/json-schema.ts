import { z } from "zod";
import { optionsSchema } from "./schema.ts";
import { unbuiltOptions } from "./unbuilt.ts";

/** The parts of a JSON Schema that are used here. */
interface SchemaNode {
  properties?: Record<string, SchemaNode>;
  additionalProperties?: SchemaNode;
  description?: string;
}

/** JSON Schema (draft 2020-12) of a file of options, for editors and for docs/options.md. It is published with the package. */
export function createJsonSchema(): Record<string, unknown> {
  // "input": what users write, where every key may be left out.
  const schema = z.toJSONSchema(optionsSchema, { io: "input" });
  for (const pattern of unbuiltOptions()) {
    const node = pattern.split(".").reduce(childOf, schema as SchemaNode | undefined);
    if (node) node.description += NOT_BUILT;
  }
  return {
    ...schema,
    title: "Options of opencode-parallel-agents",
    properties: {
      $schema: { type: "string", description: "Address of this schema, for editors." },
      ...schema.properties,
    },
  };
}

const NOT_BUILT = " Not in this version yet: setting it is an error.";

const childOf = (node: SchemaNode | undefined, key: string): SchemaNode | undefined =>
  key === "*" ? node?.additionalProperties : node?.properties?.[key];
