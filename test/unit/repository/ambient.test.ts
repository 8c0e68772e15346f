import { describe, expect, test } from "bun:test";
import { TEST_LIMIT_MS } from "../../../.ci/bun-test.mjs";
import { ambientUses } from "./ambient.ts";
import { sourceFiles } from "./source-files.ts";

test(
  "time and randomness are used in src/shared only",
  () => {
    expect(sourceFiles().flatMap(ambientUses)).toEqual([]);
  },
  TEST_LIMIT_MS,
);

describe("the check of time and randomness finds", () => {
  test.each([
    "Date.now()",
    "new Date()",
    "new Date",
    "Date()",
    "performance.now()",
    "setTimeout(f, 1)",
    "globalThis.setInterval(f, 1)",
    "const wait = setTimeout",
    "AbortSignal.timeout(5)",
    "Math.random()",
    "crypto.randomUUID()",
    'import { randomBytes } from "node:crypto"',
    'Bun.spawn(["ls"])',
  ])("%s", (text) => {
    const uses = ambientUses({ path: "src/jobs/job.ts", text: `// first\n${text};` });
    expect(uses).toHaveLength(1);
    expect(uses[0]).toStartWith("src/jobs/job.ts:2 ");
  });
});

test.each(["new Date(at).toISOString()", "clock.now()", "clearTimeout(timer)", "// setTimeout", '"Math.random()"'])(
  "the check of time and randomness allows %s",
  (text) => {
    expect(ambientUses({ path: "src/jobs/job.ts", text })).toEqual([]);
  },
);

test("the check of time and randomness allows everything in src/shared", () => {
  expect(ambientUses({ path: "src/shared/clock.ts", text: "Date.now(); setTimeout(f, 1)" })).toEqual([]);
});
