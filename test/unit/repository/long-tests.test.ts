import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isLong, LONG_TESTS } from "../../../.ci/long-tests.mjs";
import { repositoryRoot } from "../../support/opencode-home.ts";

const files = readdirSync(join(repositoryRoot, "test"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => join("test", name));

test("each name of long tests leads to files of tests", () => {
  for (const words of Object.values(LONG_TESTS).flat())
    expect({ words, files: files.filter((file) => file.includes(words)).length }).not.toEqual({ words, files: 0 });
});

test("what is left runs in every tier, and all unit tests do", () => {
  expect(files.filter((file) => file.startsWith("test/unit/") && isLong(file))).toEqual([]);
  for (const tier of ["programs", "integration", "contract", "e2e"]) {
    const left = files.filter((file) => file.startsWith(join("test", tier)) && !isLong(file));
    expect({ tier, left: left.length }).not.toEqual({ tier, left: 0 });
  }
});
