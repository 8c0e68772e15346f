import { expect, test } from "bun:test";
import { type SourceFile, sourceFiles } from "./source-files.ts";

const MAX_LINES = 300;

/** Past this a file has a second subject, or a decision that wants out. */
const tooLong = ({ path, text }: SourceFile): string[] => {
  const lines = text.split("\n").length - 1;
  return lines > MAX_LINES ? [`${path} has ${lines} lines, more than ${MAX_LINES}`] : [];
};

test("no source file is too long", () => {
  expect(sourceFiles().flatMap(tooLong)).toEqual([]);
});

test("the check of length finds a long file", () => {
  expect(tooLong({ path: "src/a.ts", text: "x\n".repeat(300) })).toEqual([]);
  expect(tooLong({ path: "src/a.ts", text: "x\n".repeat(301) })).toEqual(["src/a.ts has 301 lines, more than 300"]);
});
