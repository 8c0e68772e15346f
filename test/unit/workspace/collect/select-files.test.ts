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
