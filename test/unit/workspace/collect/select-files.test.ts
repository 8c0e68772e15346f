import { expect, test } from "bun:test";
import { FILE_LIMITS, parsePatterns, selectFiles } from "../../../../src/workspace/collect/select-files.ts";

const file = (path: string) => ({ path, kind: "file" as const, bytes: 1, isExecutable: false, to: "" });

test("a repository under any name is left out as a whole, once, and the rest is taken", () => {
  const listed = ["made.git/HEAD", "made.git/config", "made.git/hooks/post-checkout", "deep/HEAD", "x"].map(file);
  for (const patterns of [["**"], ["made.git/HEAD", "made.git", "x", "deep"]]) {
    const selection = selectFiles(listed, parsePatterns(patterns, "/workspace"), FILE_LIMITS);
    expect(selection.files.map(({ path }) => path)).toEqual(["deep/HEAD", "x"]);
    expect(selection.leftOut).toMatchObject([{ path: "made.git", why: expect.stringContaining("can make git run") }]);
    expect(selection.unmatched).toEqual([]);
  }
});

test("more than the limits allow is refused by naming what the caller wrote", () => {
  const large = [{ ...file("big.ckpt"), bytes: FILE_LIMITS.fileBytes }];
  const limits = { ...FILE_LIMITS, bytes: 1 };
  const select = (what?: string) => () => selectFiles(large, parsePatterns(["*.ckpt"], "/workspace", what), limits);
  expect(select()).toThrow("Name fewer in paths of agents_collect.");
  expect(select("artifacts of the benchmark")).toThrow("Name fewer in artifacts of the benchmark.");
});
