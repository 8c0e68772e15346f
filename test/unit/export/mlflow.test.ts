import { expect, test } from "bun:test";
import { posix } from "node:path";
import fc from "fast-check";
import { toMlflowName, toMlflowValue } from "../../../src/export/mlflow.ts";
import { toStep } from "../../../src/export/runs.ts";

test("any name of a metric becomes one that MLflow accepts, and no two become the same", () => {
  const name = fc.oneof(fc.string(), fc.constantFrom(".", "..", "/", "a//b", "/etc", "a/../b", "loss/", "__proto__"));
  fc.assert(
    fc.property(name, name, (a, b) => {
      const [first, second] = [`output/${a}`, `output/${b}`].map(toMlflowName) as [string, string];
      expect(first).toMatch(/^[\w\-. :/]{1,250}$/);
      expect(posix.normalize(first)).toBe(first);
      expect(posix.isAbsolute(toMlflowName(a))).toBe(false);
      expect(first === second).toBe(a === b);
    }),
  );
  expect(["output/loss", "val/acc top-5"].map(toMlflowName)).toEqual(["output/loss", "val/acc top-5"]);
  expect(toMlflowName("x".repeat(300))).toHaveLength(250);
});

test("a step is a whole number that a tracker can count", () => {
  expect([1.7, -2.5, 1e300, Number.NaN].map(toStep)).toEqual([1, -2, Number.MAX_SAFE_INTEGER, 0]);
});

test("a long value says that it is cut, keeps whole characters, and is not taken for another that begins alike", () => {
  expect([toMlflowValue(0.1, 500), toMlflowValue("x".repeat(500), 500)]).toEqual(["0.1", "x".repeat(500)]);
  const [a, b] = ["A", "B"].map((end) => toMlflowValue(`${"x".repeat(520)}${end}`, 500));
  expect(a).toMatch(/^x+ … \[cut: 521 characters, \w{8}\]$/);
  expect(a).toHaveLength(500);
  expect(b).not.toBe(a as string);
  for (const before of [0, 1]) {
    const cut = toMlflowValue("x".repeat(before) + "\u{1f600}".repeat(300), 500);
    expect(cut).not.toMatch(/[\ud800-\udbff](?![\udc00-\udfff])/);
    expect(cut.length).toBeLessThanOrEqual(500);
  }
});
