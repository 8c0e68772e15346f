import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  assertNothingLeft,
  assertNothingLeftAtAll,
  closed,
  leftOpen,
  opened,
  testStarts,
} from "../../support/ledger.ts";

beforeEach(() => {
  opened("thing", "of this hook");
});

// Runs before the preload's check, or this file fails.
afterEach(() => {
  closed("thing", "of this hook");
});

test("what a test leaves open is ended and named", () => {
  testStarts();
  let ended = 0;
  opened("process", "sleep (pid 7)", () => ended++);
  expect(assertNothingLeft).toThrow("left open: process sleep (pid 7)");
  expect(ended).toBe(1);
  expect(assertNothingLeft).not.toThrow();
});

test("what was opened for the whole file may outlive a test, not the run", () => {
  opened("server", "shared");
  testStarts();
  assertNothingLeft();
  expect(leftOpen()).toContain("server shared");
  closed("thing", "of this hook");
  expect(assertNothingLeftAtAll).toThrow("left open: server shared");
});
