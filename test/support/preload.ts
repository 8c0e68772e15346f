import { afterAll, afterEach, beforeEach } from "bun:test";
import { assertNothingLeft, assertNothingLeftAtAll, testStarts } from "./ledger.ts";

beforeEach(testStarts);
afterEach(assertNothingLeft);
afterAll(assertNothingLeftAtAll);
