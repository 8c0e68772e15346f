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

/** <function=sandbox_exec> and <tool_call>{"name": "sandbox_exec". */
const OPENING = /<function=(\w+)>|<tool_call>\s*\{\s*"name"\s*:\s*"(\w+)"/gi;
const CLOSING = /<\/function>|<\/tool_call>/i;
const TOOLS_OF_JOBS = /^(?:agents_\w+|job_report|sandbox_\w+|skill)$/;

/** The tool of a job that the text ends with a call of; null = none. */
export function callWrittenIn(text: string): string | null {
  const tool = objectIn(text) ?? taggedAtEnd(text) ?? "";
  return TOOLS_OF_JOBS.test(tool) ? tool : null;
}

/** Of a call in tags, which may lack their ends. A model in a loop begins thousands: only the last is looked at. */
function taggedAtEnd(text: string): string | null {
  const last = [...text.matchAll(OPENING)].at(-1);
  if (!last) return null;
  let rest = text.slice(last.index + last[0].length).trimEnd();
  for (const end of ["</tool_call>", "</function>"])
    if (rest.toLowerCase().endsWith(end)) rest = rest.slice(0, -end.length).trimEnd();
  // Behind a fence or the end of a call more was said.
  return rest.includes("```") || CLOSING.test(rest) ? null : (last[1] ?? last[2] ?? null);
}

/** {"name": "sandbox_exec", "arguments": {}} as the whole text, fenced or not. */
function objectIn(text: string): string | null {
  const [, inFence] = /^```(?:json)?\s*\{(.*)```$/s.exec(text.trim()) ?? [];
  try {
    const call = JSON.parse(inFence === undefined ? text : `{${inFence}`) as Record<string, unknown> | null;
    const given = call?.arguments ?? call?.parameters;
    return typeof call?.name === "string" && typeof given === "object" && given !== null ? call.name : null;
  } catch {
    return null;
  }
}
