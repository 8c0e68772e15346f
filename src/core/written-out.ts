/*
 * Thoughts and calls of tools that stand in a model's text, because its server does not take them out of it, as servers of
 * open models often do not.
 */

/** "<think>Let me see.</think>", at the beginning. */
const THOUGHTS = /^(?:\s*<(think|thinking|thought|reasoning)>.*?<\/\1>)+\s*/is;
/** "Let me see.\n</think>\n": some models are given the opening tag with the prompt. */
const CLOSED_THOUGHTS = /^(?!.*<think>).*?(?:^|\n)<\/think>[ \t]*(?:\n\s*|$)/is;

/** The text without the thoughts before it. Thoughts that do not end may hold the answer, and stay. */
export const withoutThoughts = (text: string): string => text.replace(THOUGHTS, "").replace(CLOSED_THOUGHTS, "");

/** <function=sandbox_exec> or <tool_call>{"name": "sandbox_exec", up to the end. */
const CALL_AT_END = [
  /<function=(\w+)>(?:(?!<\/function>|```).)*(?:<\/function>)?\s*(?:<\/tool_call>)?\s*$/is,
  /<tool_call>\s*\{\s*"name"\s*:\s*"(\w+)"(?:(?!<\/tool_call>|```).)*(?:<\/tool_call>)?\s*$/is,
  /^\s*(?:```(?:json)?\s*)?\{\s*"name"\s*:\s*"(\w+)"\s*,\s*"(?:arguments|parameters)"\s*:\s*\{.*\}\s*\}\s*(?:```)?\s*$/is,
];
const TOOLS_OF_JOBS = /^(?:agents_\w+|job_report|sandbox_\w+|skill)$/;

/** The tool of a job that the text ends with a call of; null = none. */
export const callWrittenIn = (text: string): string | null =>
  CALL_AT_END.map((call) => call.exec(text)?.[1] ?? "").find((tool) => TOOLS_OF_JOBS.test(tool)) ?? null;
