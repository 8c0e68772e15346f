// How one file of tests is run, by the runner and by the tests that run themselves a second time as another user.
import { fileURLToPath } from "node:url";

const path = (relative) => fileURLToPath(new URL(`../${relative}`, import.meta.url));

/** Limit for one test or hook, in milliseconds. Only a failure takes this long: what a test is about has limits of its own. */
export const TEST_LIMIT_MS = 240_000;

/**
 * @param {...string} files files or folders of tests
 * @returns {[bun: string, ...args: string[]]} the command
 */
export const bunTest = (...files) => [
  path("node_modules/.bin/bun"),
  "test",
  "--preload",
  path("test/support/preload.ts"),
  "--timeout",
  String(TEST_LIMIT_MS),
  ...files,
];
