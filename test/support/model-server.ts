import { closed, opened } from "./ledger.ts";
import { type Exchange, listenOnLoopback } from "./loopback-http.ts";
import {
  type Answer,
  isTitleRequest,
  type ModelReply,
  type ModelRequest,
  parseRequest,
  toolCallDelta,
} from "./model-protocol.ts";
import { pause } from "./wait.ts";

export type { ModelReply, ModelRequest } from "./model-protocol.ts";
export type ModelScript = (request: ModelRequest) => ModelReply | Promise<ModelReply>;

export interface ModelServer {
  /** Without `/v1`. */
  readonly url: string;
  readonly port: number;
  /** In order of arrival, without title requests. */
  readonly requests: ModelRequest[];
  readonly titleRequests: ModelRequest[];
  /** Requests whose client went away before the answer was complete: aborted turns, killed hosts. */
  readonly disconnected: ModelRequest[];
  /** What the script threw; a test asserts that this is empty. */
  readonly errors: Error[];
  use(script: ModelScript): void;
  stop(): Promise<void>;
}

/**
 * A scripted OpenAI-compatible model on loopback, under Bun or Node.
 * @param title of every session
 */
export async function startModelServer(script: ModelScript, title = "A title"): Promise<ModelServer> {
  const state = {
    script,
    requests: [] as ModelRequest[],
    titleRequests: [] as ModelRequest[],
    disconnected: [] as ModelRequest[],
    errors: [] as Error[],
    answers: 0,
  };

  const answer = async (exchange: Exchange): Promise<void> => {
    if (exchange.method !== "POST" || exchange.path !== "/v1/chat/completions") {
      return sendJson(exchange, 404, { error: { message: `no route ${exchange.method} ${exchange.path}` } });
    }
    const request = parseRequest(JSON.parse(exchange.body), Date.now());
    const isTitle = isTitleRequest(request);
    (isTitle ? state.titleRequests : state.requests).push(request);
    if (!isTitle) exchange.onGone(() => state.disconnected.push(request));
    const reply: ModelReply = isTitle ? { text: title } : await state.script(request);
    await send(exchange, request, reply, `${++state.answers}`);
  };

  const server = await listenOnLoopback((exchange) => {
    answer(exchange).catch((cause: unknown) => {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      state.errors.push(error);
      if (exchange.headSent) exchange.drop();
      else sendJson(exchange, 400, { error: { message: `model script: ${error.message}` } });
    });
  });
  const id = `:${server.port}`;
  opened("model-server", id, server.cut);

  return {
    url: `http://127.0.0.1:${server.port}`,
    port: server.port,
    requests: state.requests,
    titleRequests: state.titleRequests,
    disconnected: state.disconnected,
    errors: state.errors,
    use(next) {
      state.script = next;
    },
    async stop() {
      await server.close();
      closed("model-server", id);
    },
  };
}

async function send(exchange: Exchange, request: ModelRequest, reply: ModelReply, id: string): Promise<void> {
  if ("hang" in reply) return;
  if ("delayMs" in reply && reply.delayMs) await pause(reply.delayMs);
  if ("status" in reply) {
    const body = reply.body ?? { error: { message: `scripted ${reply.status}` } };
    return sendJson(exchange, reply.status, body, reply.headers);
  }
  if ("raw" in reply) {
    exchange.head(200, { "content-type": reply.type ?? "text/event-stream" });
    return exchange.end(reply.raw.join(""));
  }
  exchange.head(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const chunk = (delta: unknown, finish: string | null = null, extra: object = {}) => {
    const data = {
      id: `chatcmpl-${id}`,
      object: "chat.completion.chunk",
      created: Math.floor(request.at / 1000),
      model: request.model,
      choices: [{ index: 0, delta, finish_reason: finish }],
      ...extra,
    };
    exchange.write(`data: ${JSON.stringify(data)}\n\n`);
  };
  chunk({ role: "assistant", content: "" });
  if ("stream" in reply) {
    for (const piece of reply.stream) {
      if (exchange.isGone()) return;
      chunk({ content: piece });
      await pause(reply.gapMs);
    }
    chunk({}, "stop", { usage: usageOf({}) });
  } else {
    if (reply.reasoning !== undefined) chunk({ reasoning_content: reply.reasoning });
    if (reply.text !== undefined) chunk({ content: reply.text });
    if (reply.toolCalls?.length) chunk(toolCallDelta(reply.toolCalls, id));
    chunk({}, reply.finish ?? (reply.toolCalls?.length ? "tool_calls" : "stop"), { usage: usageOf(reply) });
  }
  exchange.end("data: [DONE]\n\n");
}

function usageOf(reply: Answer): unknown {
  const { input, output, cached = 0, reasoned = 0 } = reply.usage ?? { input: 100, output: 10 };
  return {
    prompt_tokens: input,
    completion_tokens: output,
    total_tokens: input + output,
    prompt_tokens_details: { cached_tokens: cached },
    completion_tokens_details: { reasoning_tokens: reasoned },
  };
}

function sendJson(exchange: Exchange, status: number, body: unknown, headers: Record<string, string> = {}): void {
  exchange.head(status, { "content-type": "application/json", ...headers });
  exchange.end(JSON.stringify(body));
}
