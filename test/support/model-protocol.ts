/** The part of the OpenAI chat-completions protocol that the host speaks, in our own words. */
export interface ChatMessage {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  toolCalls: { id: string; name: string; arguments: unknown }[];
  toolCallID?: string;
}

export interface ModelRequest {
  model: string;
  system: string;
  /** Without the system messages. */
  messages: ChatMessage[];
  /** Names of the tools on offer, in order. */
  tools: string[];
  firstUser: string;
  lastUser: string;
  /** Contents of the tool messages after the last user message. */
  toolResults: string[];
  /** Assistant messages after the last user message: 0 at the first request of a turn. */
  step: number;
  raw: unknown;
  /** Epoch ms. */
  at: number;
}

export interface Answer {
  /** Thoughts before the text. */
  reasoning?: string;
  text?: string;
  toolCalls?: { name: string; arguments: unknown }[];
  delayMs?: number;
  /** Tokens. `cached` are part of the input, `reasoned` part of the output. */
  usage?: { input: number; output: number; cached?: number; reasoned?: number };
  /** Why the model stopped, where it is not "stop" or "tool_calls". */
  finish?: string;
}

export type ModelReply =
  | Answer
  | { status: number; body?: unknown; headers?: Record<string, string>; delayMs?: number }
  /** Never answers. */
  | { hang: true }
  /** The body as it is sent, whatever it means. */
  | { raw: string[]; type?: string }
  /** Text in pieces with pauses between them. */
  | { stream: string[]; gapMs: number };

interface RawMessage {
  role: ChatMessage["role"];
  content?: string | { text?: string }[] | null;
  tool_calls?: { id: string; function: { name: string; arguments: string } }[];
  tool_call_id?: string;
}

interface RawRequest {
  model: string;
  messages: RawMessage[];
  tools?: { function: { name: string } }[];
}

export function parseRequest(raw: unknown, at: number): ModelRequest {
  const body = raw as RawRequest;
  const all = body.messages.map(toMessage);
  const messages = all.filter((message) => message.role !== "system");
  const lastUserAt = messages.findLastIndex((message) => message.role === "user");
  const sinceLastUser = messages.slice(lastUserAt + 1);
  return {
    model: body.model,
    system: textOf(all.filter((message) => message.role === "system")),
    messages,
    tools: (body.tools ?? []).map((tool) => tool.function.name),
    firstUser: messages.find((message) => message.role === "user")?.content ?? "",
    lastUser: messages[lastUserAt]?.content ?? "",
    toolResults: sinceLastUser.filter((message) => message.role === "tool").map((message) => message.content),
    step: sinceLastUser.filter((message) => message.role === "assistant").length,
    raw,
    at,
  };
}

/** Root sessions ask for a title on the side, without tools. */
export function isTitleRequest(request: ModelRequest): boolean {
  return request.tools.length === 0 && request.system.includes("You are a title generator");
}

export function toolCallDelta(calls: NonNullable<Answer["toolCalls"]>, prefix: string): unknown {
  return {
    tool_calls: calls.map((call, index) => ({
      index,
      id: `call_${prefix}_${index}`,
      type: "function",
      function: { name: call.name, arguments: JSON.stringify(call.arguments) },
    })),
  };
}

function toMessage(raw: RawMessage): ChatMessage {
  return {
    role: raw.role,
    content:
      typeof raw.content === "string" ? raw.content : (raw.content ?? []).map((part) => part.text ?? "").join(""),
    toolCalls: (raw.tool_calls ?? []).map((call) => ({
      id: call.id,
      name: call.function.name,
      arguments: parseArguments(call.function.arguments),
    })),
    ...(raw.tool_call_id === undefined ? {} : { toolCallID: raw.tool_call_id }),
  };
}

function parseArguments(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function textOf(messages: ChatMessage[]): string {
  return messages.map((message) => message.content).join("\n");
}
