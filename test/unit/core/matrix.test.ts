import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { countCombinations, describeParams, expandMatrix, findMatrixProblem } from "../../../src/core/matrix.ts";

const names = fc.stringMatching(/^[A-Z]{1,4}X$/);
const values = fc.uniqueArray(fc.oneof(fc.integer(), fc.string({ maxLength: 5 })), {
  minLength: 1,
  maxLength: 4,
  selector: String,
});
const matrices = fc.dictionary(names, values, { maxKeys: 3, noNullPrototype: true });

describe("a matrix", () => {
  test("has each combination once, in the order of its values, the last name fastest", () => {
    expect(expandMatrix({ LR: [0.1, 0.01], SEED: [1, 2] })).toEqual([
      { LR: 0.1, SEED: 1 },
      { LR: 0.1, SEED: 2 },
      { LR: 0.01, SEED: 1 },
      { LR: 0.01, SEED: 2 },
    ]);
    fc.assert(
      fc.property(matrices, (matrix) => {
        const all = expandMatrix(matrix);
        expect(all).toHaveLength(countCombinations(matrix));
        expect(new Set(all.map((params) => JSON.stringify(params))).size).toBe(all.length);
        for (const params of all)
          for (const [name, value] of Object.entries(params)) expect(matrix[name]).toContain(value);
      }),
    );
  });

  test("without names is one run without parameters", () => {
    expect(expandMatrix({})).toEqual([{}]);
    expect(findMatrixProblem({})).toBeNull();
  });

  test("is counted without being expanded", () => {
    const large = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`N${n}`, Array(100).fill(0)]));
    expect(countCombinations(large)).toBeGreaterThan(1e59);
  });

  test("takes names that JavaScript objects have too", () => {
    const matrix = JSON.parse('{ "__proto__": [1, 2], "constructor": [3] }');
    expect(findMatrixProblem(matrix)).toBeNull();
    expect(expandMatrix(matrix).map(describeParams)).toEqual([
      "__proto__=1, constructor=3",
      "__proto__=2, constructor=3",
    ]);
  });

  test("prints numbers as JSON does", () => {
    expect(describeParams({ A: 1e-7, B: 0.1, C: 1e21, D: "01", E: -0 })).toBe("A=1e-7, B=0.1, C=1e+21, D=01, E=0");
  });

  test.each([
    [{ "A-B": [1] }, "cannot be a variable's name"],
    [{ "1A": [1] }, "cannot be a variable's name"],
    [{ "": [1] }, "cannot be a variable's name"],
    [{ "A=1;rm": [1] }, "cannot be a variable's name"],
    [{ PATH: ["/bin"] }, "decides how the command itself is started"],
    [{ LD_PRELOAD: ["/x.so"] }, "decides how the command itself is started"],
    [{ BASH_ENV: ["/x"] }, "decides how the command itself is started"],
    [{ UID: [0] }, "decides how the command itself is started"],
    [{ PARALLEL_AGENTS_RUN: ["x"] }, "decides how the command itself is started"],
    [{ A: [] }, "no values"],
    [{ A: [1, 2, 1] }, 'the value "1" twice'],
    [{ A: [1, "1"] }, "twice"],
    [{ A: [Number.NaN] }, "no number that JSON has"],
    [
      { SEED: [1, JSON.parse("9007199254740993")] },
      '"SEED" a whole number beyond 9007199254740991, read as 9007199254740992',
    ],
    [{ SEED: [JSON.parse("-12345678901234567890123")] }, "Give it as a text, in quotes"],
    [{ A: ["x".repeat(1_001)] }, "a value that a variable cannot have"],
    [{ A: ["a\0b"] }, "a value that a variable cannot have"],
    [Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`N${n}`, [1]])), "33 names"],
  ])("%j is refused", (matrix, why) => {
    expect(findMatrixProblem(matrix as never)).toContain(why);
  });
});
