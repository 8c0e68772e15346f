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
  ["[a-c]x", ["ax", "cx"], ["dx", "x"]],
  ["[!a-c]x", ["dx", "]x"], ["ax"]],
  ["[]]x", ["]x"], ["[x"]],
  ["[a", ["[a"], ["a"]],
  ["*.{js,ts}", ["a.js", "a.ts"], ["a.jsx", "a.{js,ts}"]],
  ["{a,b{c,d}}/x", ["a/x", "bc/x", "bd/x"], ["b/x"]],
  ["{only}", ["{only}"], ["only"]],
  ["\\*", ["*"], ["a"]],
  ["\\{a,b\\}", ["{a,b}"], ["a"]],
  ["a*b*c", ["abc", "aXbYc", "abcbc"], ["ab", "acb"]],
];

describe("a pattern of paths", () => {
  for (const [pattern, yes, no] of CASES)
    test(pattern, () => {
      const { matches } = parseGlob(pattern);
      expect(yes.filter((path) => !matches(path))).toEqual([]);
      expect(no.filter((path) => matches(path))).toEqual([]);
    });

  test("says where to look", () => {
    const roots = ["a/b.txt", "a/b/*.txt", "*.txt", "app/[id]/page.tsx", "a/{b,c}/d", "**"].map(
      (pattern) => parseGlob(pattern).root,
    );
    expect(roots).toEqual(["a/b.txt", "a/b", "", "app", "a", ""]);
  });

  test("takes no long time over a name made to cost it, nor many alternatives", () => {
    const { matches } = parseGlob(`${"*a".repeat(100)}b`);
    const startedAt = performance.now();
    expect(matches("a".repeat(4_000))).toBe(false);
    expect(matches(Array(2_000).fill("a").join("/"))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(() => parseGlob("{a,b}".repeat(20))).toThrow("more than 256 alternatives");
  });
});
