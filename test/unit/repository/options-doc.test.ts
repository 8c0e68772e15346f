import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { withTables } from "../../../.ci/options-doc.mjs";
import { createJsonSchema } from "../../../src/config/json-schema.ts";

const document = readFileSync(join(import.meta.dirname, "../../../docs/options.md"), "utf8");

test("docs/options.md has the tables generated from the schema; `npm run docs` rewrites them", () => {
  expect(document).toBe(withTables(document, createJsonSchema()));
});

test("the tables list options with their defaults", () => {
  for (const row of [
    "| `maxRunningJobs` | `8` | Jobs that run at once",
    '| `gpuLimits` | `{ "total": 10 }` | ',
    "| `budget.usdPerSession` | `25` | ",
    '| `workdir` | `"/workspace"` | ',
  ])
    expect(document).toContain(`\n${row}`);
});

test("a document without the markers is refused", () => {
  expect(() => withTables("# Options", createJsonSchema())).toThrow("lacks the markers");
});
