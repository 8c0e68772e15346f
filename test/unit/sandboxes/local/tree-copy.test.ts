import { expect, test } from "bun:test";
import { createCopyParser } from "../../../../src/sandboxes/local/tree-copy.ts";

const hear = (lines: readonly string[], code: number | null = 0) => {
  const listener = createCopyParser();
  for (const line of lines) listener.line(line);
  return listener.end(code);
};
const at = (path: string) => `/proc/self/fd/8/./${path}`;

test("what cp could not copy is named with its pair, its path and the reason", () => {
  const { leftOut, leftOutCount } = hear([
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

test("files that vanish, and paths that are copied in pieces, are no loss; a single name that is too long is one", () => {
  const gone = `cp: cannot stat '${at("gone")}': No such file or directory`;
  const piece = `cp: cannot create directory '/proc/self/fd/9/./${"d/".repeat(2030)}': File name too long`;
  expect(hear([gone, piece])).toEqual({ leftOut: [], leftOutCount: 0 });
  const name = `cp: cannot create regular file '/proc/self/fd/9/./${"n".repeat(200)}': File name too long`;
  expect(hear([name]).leftOutCount).toBe(1);
});

test("all are counted, the first of them named", () => {
  const lines = Array.from(
    { length: 1_000 },
    (_, n) => `cp: cannot open '${at(String(n))}' for reading: Permission denied`,
  );
  const { leftOut, leftOutCount } = hear(lines);
  expect([leftOut.length, leftOutCount]).toEqual([20, 1_000]);
});

test.each([
  ["a full disk", "cp: error writing '/proc/self/fd/9/./x': No space left on device"],
  ["a quota", "cp: cannot create directory '/proc/self/fd/9/./x': Disk quota exceeded"],
  ["a disk that became read-only", "cp: cannot create regular file '/proc/self/fd/9/./x': Read-only file system"],
  ["a cp that was killed", "@broke 137"],
  ["a directory that cannot be opened at all", "@closed 0 0"],
])("%s fails the copy as a whole, whatever came before", (_, line) => {
  const before = Array.from({ length: 30 }, () => `cp: cannot open '${at("x")}' for reading: Permission denied`);
  expect(() => hear(["@in 0 0", ...before, line])).toThrow();
  expect(() => hear(["@in 0 0", "some words"], 1)).toThrow("some words");
  expect(() => hear(["@in 0 0"], null)).toThrow("a signal");
});
