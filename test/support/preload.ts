import { afterAll, afterEach, beforeEach, mock, setDefaultTimeout } from "bun:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { TEST_LIMIT_MS } from "../../.ci/bun-test.mjs";
import { assertNothingLeft, assertNothingLeftAtAll, testStarts } from "./ledger.ts";
import { propertyRuns } from "./property-runs.ts";

// Under Bun, Solid's exports lead to its build for servers, in which nothing is ever updated. The terminal UI has the other.
for (const [name, file] of [
  ["solid-js", "solid"],
  ["solid-js/store", "store"],
] as const) {
  const path = fileURLToPath(new URL(`../../node_modules/${name}/dist/${file}.js`, import.meta.url));
  mock.module(name, () => import(path));
}

setDefaultTimeout(TEST_LIMIT_MS); // for one file run without the runner; Bun gives further ones 5 s, unless --timeout says more
fc.configureGlobal({ numRuns: propertyRuns(100) }); // where a property names no number of its own

beforeEach(testStarts);
afterEach(assertNothingLeft);
afterAll(assertNothingLeftAtAll);
