import { afterAll, afterEach, beforeEach, setDefaultTimeout } from "bun:test";
import fc from "fast-check";
import { TEST_LIMIT_MS } from "../../.ci/bun-test.mjs";
import { assertNothingLeft, assertNothingLeftAtAll, testStarts } from "./ledger.ts";
import { propertyRuns } from "./property-runs.ts";

setDefaultTimeout(TEST_LIMIT_MS); // also where a file is run without the runner
fc.configureGlobal({ numRuns: propertyRuns(100) }); // where a property names no number of its own

beforeEach(testStarts);
afterEach(assertNothingLeft);
afterAll(assertNothingLeftAtAll);
