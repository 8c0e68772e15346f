import { describe, expect, test } from "bun:test";
import { nextRepeats, type Repeats, repeatKey, repeatsFailure, toldOfRepeats } from "../../../src/core/repeats.ts";

const CALL = { command: "cat missing.txt" };
const KEY = repeatKey("sandbox_exec", CALL, "no such file\n[exit code 1]");
const after = (count: number, tool = "sandbox_exec", tookMs: number | null = 5): Repeats | null => {
  let repeats: Repeats | null = null;
  for (let made = 0; made < count; made++) repeats = nextRepeats(repeats, tool, KEY, tookMs);
  return repeats;
};

describe("calls in a row", () => {
  test("count while arguments and answer stay the same", () => {
    expect(after(3)).toEqual({ tool: "sandbox_exec", key: KEY, count: 3 });
    for (const other of [
      repeatKey("sandbox_exec", { command: "ls" }, "no such file\n[exit code 1]"),
      repeatKey("sandbox_exec", CALL, "hello\n[exit code 0]"),
      repeatKey("sandbox_read", CALL, "no such file\n[exit code 1]"),
    ])
      expect(nextRepeats(after(3), "sandbox_exec", other, 5)?.count).toBe(1);
  });

  test.each([
    ["a tool that looks whether something has changed", "sandbox_process", 5],
    ["a command that waits, such as a sleep before a look at a log", "sandbox_exec", 10_000],
  ])("do not count for %s, which begins the count anew", (_what, tool, tookMs) => {
    expect(after(100, tool, tookMs)).toBeNull();
    expect(nextRepeats(after(9), tool, KEY, tookMs)).toBeNull();
  });

  test("do not count where the host does not say what was answered", () => {
    expect(nextRepeats(after(9), "sandbox_exec", null, null)).toBeNull();
    expect(after(2, "sandbox_exec", null)?.count).toBe(2);
  });
});

test("the agent is told from the thirtieth on, which does not make its answers differ", () => {
  expect(toldOfRepeats(after(28), KEY)).toBe("");
  expect(toldOfRepeats(after(40), `${KEY}x`)).toBe("");
  const told = toldOfRepeats(after(29), KEY);
  expect(told).toContain("Do something else");
  expect(repeatKey("sandbox_exec", CALL, `no such file\n[exit code 1]${told}`)).toBe(KEY);
});

test("the turn fails after the sixtieth, and says what was repeated", () => {
  expect([repeatsFailure(null), repeatsFailure(after(59))]).toEqual([null, null]);
  expect(repeatsFailure(after(60))).toMatchObject({
    code: "stalled",
    retryable: true,
    message: expect.stringContaining("called sandbox_exec 60 times in a row"),
  });
});
