import { describe, expect, test } from "bun:test";
import { answerOf } from "../../../src/core/answer.ts";
import { callWrittenIn, withoutThoughts } from "../../../src/core/written-out.ts";

describe("thoughts that a server leaves in the text", () => {
  for (const [text, rest] of [
    ["<think>\nLet me see.\n\n</think>\n\nIt is 7.", "It is 7."],
    ["<think></think>\n<THINK>Once more.</THINK> It is 7.", "It is 7."],
    ["Let me see.\nSeven?\n</think>\n\nIt is 7.", "It is 7."],
    ["<think>Let me see.</think>", ""],
    ["Let me see.\n</think>", ""],
  ] as const)
    test(`are no part of the answer: ${JSON.stringify(text)}`, () => expect(withoutThoughts(text)).toBe(rest));

  for (const text of [
    "The parser drops <think>a</think> from answers.",
    "The tag </think> closes thoughts.\nIt is 7.",
    "<think>These do not end, and may be the answer.",
    "1. <think>\nopens\n</think>\ncloses",
  ])
    test(`are not taken for such: ${JSON.stringify(text)}`, () => expect(withoutThoughts(text)).toBe(text));

  test("alone are a message without a word", () => {
    expect(answerOf(["<think>Hm.</think>"])).toBeNull();
    expect(answerOf(["It is 7.", "<think>All said.</think>"])).toEqual({
      text: "It is 7.",
      isEarlier: true,
      report: null,
    });
  });
});

describe("a call of a tool that a model writes as text", () => {
  for (const text of [
    '<tool_call>\n{"name": "sandbox_exec", "arguments": {"command": "ls"}}\n</tool_call>',
    'I look.\n\n<tool_call>\n{"name": "sandbox_exec", "arguments": {"command": "ls"}}',
    "I look.\n\n<function=sandbox_exec>\n<parameter=command>\nls\n</parameter>\n</function>\n</tool_call>",
    "<tool_call>\n<function=sandbox_exec>\n<parameter=command>ls</parameter></function></tool_call>\n",
    "<function=sandbox_exec>\n<parameter=command> ls",
    '{"name": "sandbox_exec", "arguments": {"command": "ls"}}',
    '```json\n{\n  "name": "sandbox_exec",\n  "arguments": {\n    "command": "ls"\n  }\n}\n```',
  ])
    test(`is found: ${JSON.stringify(text)}`, () => expect(callWrittenIn(text)).toBe("sandbox_exec"));

  for (const text of [
    "The log has <function=sandbox_exec><parameter=command>ls</parameter></function>, which nobody carried out.",
    "It wrote:\n```\n<function=sandbox_exec>\n</function>\n```",
    '<tool_call>{"name": "get_weather", "arguments": {}}</tool_call>',
    '{"name": "Ada", "arguments": {"for": 1}}',
    "I called sandbox_exec.",
    "",
  ])
    test(`is none: ${JSON.stringify(text)}`, () => expect(callWrittenIn(text)).toBeNull());

  test.each([
    ["<function=sandbox_exec>", "```"],
    ['<tool_call>{"name": "sandbox_exec"', "```"],
    ['{"name": "sandbox_exec", "arguments": {', "x"],
    [`<function=sandbox_exec>${" ".repeat(20)}`, "```"],
  ])("is looked for at once in what a model writes in a loop: %s", (again, end) => {
    expect(callWrittenIn(again.repeat(20_000) + end)).toBeNull();
    expect(callWrittenIn(`${again}${" ".repeat(500_000)}${end}`)).toBeNull();
  });
});
