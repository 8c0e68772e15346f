import { describe, expect, test } from "bun:test";
import { parseGlob } from "../../../../src/workspace/collect/glob.ts";

const CASES: readonly (readonly [pattern: string, yes: readonly string[], no: readonly string[]])[] = [
  ["a.txt", ["a.txt", "a.txt/below"], ["a_txt", "b/a.txt", "a.tx", "a.txtt"]],
  ["out", ["out", "out/a", "out/b/c"], ["outer", "in/out"]],
  ["*.pt", ["a.pt", ".pt", ".hidden.pt"], ["b/a.pt", "a.ptx"]],
  ["**/*.pt", ["a.pt", "b/a.pt", "b/c/d.pt"], ["a.p"]],
  ["a/**", ["a/b", "a/b/c"], ["b/a", "ab"]],
  ["a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["a/b", "z"]],
  ["**", ["a", "a/b"], []],
  ["a?c", ["abc", "aüc", "a😀c"], ["ac", "abbc", "a/c"]],
  ["app/[id]/*.tsx", ["app/[id]/page.tsx"], ["app/i/page.tsx"]],
  ["{a,b}", ["{a,b}"], ["a"]],
  ["a\\b", ["a\\b"], ["ab"]],
  ["a*b*c", ["abc", "aXbYc", "abcbc"], ["ab", "acb"]],
];

describe("a path pattern", () => {
  for (const [pattern, yes, no] of CASES)
    test(pattern, () => {
      const { matches } = parseGlob(pattern);
      expect(yes.filter((path) => !matches(path))).toEqual([]);
      expect(no.filter((path) => matches(path))).toEqual([]);
    });

  test("names the folder to search", () => {
    const roots = ["a/b.txt", "a/b/*.txt", "*.txt", "app/[id]/*.tsx", "**"].map((pattern) => parseGlob(pattern).root);
    expect(roots).toEqual(["a/b.txt", "a/b", "", "app/[id]", ""]);
  });

  // Whatever tries all ways would not come to an end.
  test("matches a name built to be slow", () => {
    const { matches } = parseGlob(`${"*a".repeat(100)}b`);
    expect(matches("a".repeat(4_000))).toBe(false);
    expect(matches(Array(2_000).fill("a").join("/"))).toBe(false);
  });
});
