import type { ModelReply, ModelRequest, ModelScript } from "./model-server.ts";

/*
 * A model that follows the script in its prompt: the replies of one turn as JSON between markers, one per step, so that
 * a test reads as a list of what each agent does. `$job1`, `$snap1`, `$process1`, `$log1`, … are replaced with the ids
 * and paths seen so far in the session's tool results, in order of appearance.
 */

const OPEN = "<script>";
const CLOSE = "</script>";
/** The plugin's notices, and what OpenCode adds to send the images of a tool's result. */
const NOTICE = /^\[parallel agents\] |^OpenCode ended while you were|^Attached media from tool result:/;
/** The model's reply to a notice of ended jobs when no script is running. */
export const NOTED = "noted";

/** A prompt whose turn consists of these replies. */
export const script = (...replies: ModelReply[]): string =>
  `Follow the script. ${OPEN}${JSON.stringify(replies)}${CLOSE}`;

/** A reply that calls one tool. */
export const call = (name: string, args: unknown): ModelReply => ({ toolCalls: [{ name, arguments: args }] });

/** A reply that makes all these calls, in this order: each reply is a request of its own, which costs the host 0.2 s of CPU. */
export const atOnce = (...replies: ModelReply[]): ModelReply => ({
  toolCalls: replies.flatMap((reply) => ("toolCalls" in reply && reply.toolCalls) || []),
});

/** A reply that ends the turn. */
export const say = (text: string): ModelReply => ({ text });

/** Plays the scripts in the prompts. Refuses a prompt without one, so that a test cannot pass by accident. */
export const scriptedModel: ModelScript = (request) => {
  const at = request.messages.findLastIndex(({ role, content }) => role === "user" && content.includes(OPEN));
  const prompt = request.messages[at]?.content;
  // The plugin's own notices have no script: a turn they arrive in continues its script, a turn they start replies NOTED.
  const isNotice = NOTICE.test(request.lastUser) && request.lastUser !== prompt;
  if (prompt === undefined || (request.lastUser !== prompt && !isNotice))
    throw new Error(`the prompt has no script: ${request.lastUser.slice(0, 200)}`);
  const start = prompt.indexOf(OPEN);
  const end = prompt.lastIndexOf(CLOSE);
  const replies = JSON.parse(fillIn(prompt.slice(start + OPEN.length, end), request)) as ModelReply[];
  const step = request.messages.slice(at + 1).filter(({ role }) => role === "assistant").length;
  const reply = replies[step] ?? (isNotice ? { text: NOTED } : undefined);
  if (!reply) throw new Error(`the script has no step ${step}: ${JSON.stringify(replies).slice(0, 300)}`);
  return reply;
};

function fillIn(json: string, request: ModelRequest): string {
  const seen = request.messages
    .filter(({ role }) => role === "tool")
    .map(({ content }) => content)
    .join("\n");
  const ids = (prefix: string) => [...new Set(seen.match(new RegExp(`${prefix}_[a-z0-9]{12}`, "g")) ?? [])];
  const jobs = ids("job");
  const snapshots = ids("snap");
  const first = (pattern: RegExp) => [...new Set([...seen.matchAll(pattern)].map((match) => match[1] ?? ""))];
  const processes = first(/Process (\S+) runs in the background/g);
  const logs = first(/full output is in (\S+) …/g);
  return json
    .replace(/\$job(\d+)/g, (all, n) => jobs[Number(n) - 1] ?? all)
    .replace(/\$snap(\d+)/g, (all, n) => snapshots[Number(n) - 1] ?? all)
    .replace(/\$process(\d+)/g, (all, n) => processes[Number(n) - 1] ?? all)
    .replace(/\$log(\d+)/g, (all, n) => logs[Number(n) - 1] ?? all);
}

/** The system messages of a request, in order. Some backends refuse a request with a second one. */
export const systemMessagesOf = ({ raw }: ModelRequest): string[] =>
  (raw as { messages: { role: string; content: string }[] }).messages
    .filter(({ role }) => role === "system")
    .map(({ content }) => content);
