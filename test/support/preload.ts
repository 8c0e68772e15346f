import { afterAll, afterEach, beforeEach } from "bun:test";
import fc from "fast-check";
import { assertNothingLeft, assertNothingLeftAtAll, testStarts } from "./ledger.ts";
import { propertyRuns } from "./property-runs.ts";

fc.configureGlobal({ numRuns: propertyRuns(100) }); // where a property names no number of its own

beforeEach(testStarts);
afterEach(assertNothingLeft);
afterAll(assertNothingLeftAtAll);
