import { expect, test } from "bun:test";
import { createCopyParser } from "../../../../src/sandboxes/local/tree-copy.ts";

const parse = (lines: readonly string[], code: number | null = 0) => {
  const parser = createCopyParser();
  for (const line of lines) parser.line(line);
  return parser.end(code);
};
const at = (path: string) => `/proc/self/fd/8/./${path}`;

test("each file that cp could not copy is named with its pair, path and reason", () => {
  const { leftOut, leftOutCount } = parse([
    "@in 0 0",
    `cp: cannot open '${at("a/b c")}' for reading: Permission denied`,
    "@in 3 0",
    `cp: cannot access '${at("it")}'"'"'${"s"}': Permission denied`,
    `cp: cannot open ''$'\\n''@in 1 0' for reading: Input/output error`,
    `cp: setting permissions for '/proc/self/fd/9/./x': Operation not supported`,
    `cp: skipping file '${at("y")}', as it was replaced while being copied`,
    "@in 3 1",
    `cp: cannot create fifo '/proc/self/fd/9/./z': Operation not permitted`,
    "@closed 3 1",
    "@deep 3",
  ]);
  expect(leftOut[0]).toEqual({ pair: 0, path: "a/b c", why: "Permission denied" });
  expect(leftOut.slice(1).map(({ pair }) => pair)).toEqual([3, 3, 3, 3, 3, 3, 3]);
  expect(leftOut.map(({ why }) => why)).toEqual([
    "Permission denied",
    "Permission denied",
    "Input/output error",
    "Operation not supported",
    expect.stringContaining("replaced while being copied"),
    "Operation not permitted",
    "a folder could not be opened",
    "its path is longer than a copy can follow",
  ]);
  expect(leftOut[5]?.path).toBe("…/z");
  expect(leftOutCount).toBe(8);
});

test("files that vanish and paths that are copied in pieces are not reported; a single name that is too long is", () => {
  const gone = `cp: cannot stat '${at("gone")}': No such file or directory`;
  const piece = `cp: cannot create directory '/proc/self/fd/9/./${"d/".repeat(2030)}': File name too long`;
  expect(parse([gone, piece])).toEqual({ leftOut: [], leftOutCount: 0 });
  const name = `cp: cannot create regular file '/proc/self/fd/9/./${"n".repeat(200)}': File name too long`;
  expect(parse([name]).leftOutCount).toBe(1);
});

test("all failures are counted, and the first few named", () => {
  const lines = Array.from(
    { length: 1_000 },
    (_, n) => `cp: cannot open '${at(String(n))}' for reading: Permission denied`,
  );
  const { leftOut, leftOutCount } = parse(lines);
  expect([leftOut.length, leftOutCount]).toEqual([20, 1_000]);
});

test.each([
  ["a full disk", "cp: error writing '/proc/self/fd/9/./x': No space left on device"],
  ["a quota", "cp: cannot create directory '/proc/self/fd/9/./x': Disk quota exceeded"],
  ["a disk that became read-only", "cp: cannot create regular file '/proc/self/fd/9/./x': Read-only file system"],
  ["a killed cp", "@broke 137"],
  ["a source directory that cannot be opened", "@closed 0 0"],
])("%s fails the whole copy, whatever came before", (_, line) => {
  const before = Array.from({ length: 30 }, () => `cp: cannot open '${at("x")}' for reading: Permission denied`);
  expect(() => parse(["@in 0 0", ...before, line])).toThrow();
  expect(() => parse(["@in 0 0", "some words"], 1)).toThrow("some words");
  expect(() => parse(["@in 0 0"], null)).toThrow("a signal");
});
