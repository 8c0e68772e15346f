import { describe, expect, test } from "bun:test";
import { answerOf } from "../../../src/core/answer.ts";

const REPORT = "The parser drops the last line: src/parse.ts, line 42. Fixed, 17 tests pass.";
const LONG = `# Findings\n${"The cache is never invalidated. ".repeat(20)}`;

describe("the answer of a turn", () => {
  test("is its last text", () => {
    expect(answerOf(["Let me look.", null, "42"])).toEqual({ text: "42", isEarlier: false, report: null });
  });

  for (const [how, blank] of [
    ["missing", null],
    ["empty", ""],
    ["white", " \n\t\u00a0"],
    ["invisible", "\u200b\u2060\ufeff"],
  ] as const) {
    test(`is the last text that has words, where the last one is ${how}`, () => {
      expect(answerOf(["Let me look.", REPORT, blank, blank])).toEqual({ text: REPORT, isEarlier: true, report: null });
      expect(answerOf([blank])).toBeNull();
    });
  }
  test("is missing where there are no messages", () => expect(answerOf([])).toBeNull());

  for (const last of [
    "Done.",
    "done",
    "✅",
    "…",
    "OK!",
    "**Done**",
    "All done!",
    "Task completed.",
    "I have finished the task.",
    "The report is above.",
    "See my previous message above.",
    "Nothing more to add.",
    "I have no further steps.",
    "完成。",
  ]) {
    test(`is the report before a last text such as "${last}"`, () => {
      expect(answerOf([REPORT, last])).toEqual({ text: last, isEarlier: false, report: REPORT });
      expect(answerOf([REPORT, null, "Finished.", last])?.report).toBe(REPORT);
    });
  }

  for (const last of ["Yes", "No", "42", "The answer is 42.", "Nothing", "main.ts is done, util.ts is not"]) {
    test(`is the last text alone when that says something: "${last}"`, () => {
      expect(answerOf(["Let me read the file first, then answer.", last])?.report).toBeNull();
    });
  }

  test("is both where a short last text follows a long report, and where the report is not right before it", () => {
    const last = "The temporary files are removed.";
    expect(answerOf([LONG, last])).toEqual({ text: last, isEarlier: false, report: LONG });
    expect(answerOf(["Looking.", LONG, "Now I tidy up.", "Done."])?.report).toBe(LONG);
    expect(answerOf([LONG, `${LONG} Corrected.`, "Done."])?.report).toBe(`${LONG} Corrected.`);
    expect(answerOf([LONG, LONG.slice(0, 300)])?.report).toBeNull();
  });

  test("has no report where nothing but closing words was said", () => {
    expect(answerOf(["OK.", "Done."])).toEqual({ text: "Done.", isEarlier: false, report: null });
  });
});
