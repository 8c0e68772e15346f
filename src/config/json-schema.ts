import { z } from "zod";
import { optionsSchema } from "./schema.ts";

/** JSON Schema (draft 2020-12) of a file of options, for editors and for docs/options.md. It is published with the package. */
export function createJsonSchema(): Record<string, unknown> {
  // "input": what users write, where every key may be left out.
  const schema = z.toJSONSchema(optionsSchema, { io: "input" });
  return {
    ...schema,
    title: "Options of opencode-parallel-agents",
    properties: {
      $schema: { type: "string", description: "Address of this schema, for editors." },
      ...schema.properties,
    },
  };
}
