import { expect, test } from "bun:test";
import { type SourceFile, sourceFiles, testFiles } from "./source-files.ts";

const MAX_LINES = 300;

/** A longer file has a second subject, or a decision that belongs in a file of its own. */
const tooLong = ({ path, text }: SourceFile): string[] => {
  const lines = text.split("\n").length - 1;
  return lines > MAX_LINES ? [`${path} has ${lines} lines, more than ${MAX_LINES}`] : [];
};

test("no file of src or test is longer than 300 lines", () => {
  expect([...sourceFiles(), ...testFiles()].flatMap(tooLong)).toEqual([]);
});

test("the check finds a file of 301 lines", () => {
  expect(tooLong({ path: "src/a.ts", text: "x\n".repeat(300) })).toEqual([]);
  expect(tooLong({ path: "src/a.ts", text: "x\n".repeat(301) })).toEqual(["src/a.ts has 301 lines, more than 300"]);
});
