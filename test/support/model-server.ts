import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { closed, opened } from "./ledger.ts";
import { type Answer, isTitleRequest, type ModelReply, type ModelRequest, parseRequest, toolCallDelta } from "./model-protocol.ts";
import { pause } from "./wait.ts";

export type { Answer, ChatMessage, ModelReply, ModelRequest } from "./model-protocol.ts";
export type ModelScript = (request: ModelRequest) => ModelReply | Promise<ModelReply>;

export interface ModelServer {
  /** Without `/v1`. */
  readonly url: string;
  readonly port: number;
  /** In order of arrival, without title requests. */
  readonly requests: ModelRequest[];
  readonly titleRequests: ModelRequest[];
  /** Requests whose client went away before the answer was complete: aborted turns. */
  readonly disconnected: ModelRequest[];
  /** What the script threw; a test asserts that this is empty. */
  readonly errors: Error[];
  use(script: ModelScript): void;
  stop(): Promise<void>;
}

/** A scripted OpenAI-compatible model on loopback. `node:http`, so that it runs under Bun and Node. */
export async function startModelServer(script: ModelScript): Promise<ModelServer> {
  const state = {
    script,
    requests: [] as ModelRequest[],
    titleRequests: [] as ModelRequest[],
    disconnected: [] as ModelRequest[],
    errors: [] as Error[],
    answers: 0,
  };

  const answer = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = new URL(incoming.url ?? "/", "http://model").pathname;
    const text = await bodyOf(incoming);
    if (incoming.method !== "POST" || path !== "/v1/chat/completions") {
      return sendJson(response, 404, { error: { message: `no route ${incoming.method} ${path}` } });
    }
    const request = parseRequest(JSON.parse(text), Date.now());
    const isTitle = isTitleRequest(request);
    (isTitle ? state.titleRequests : state.requests).push(request);
    response.once("close", () => {
      if (!response.writableEnded) state.disconnected.push(request);
    });
    const reply: ModelReply = isTitle ? { text: "A title" } : await state.script(request);
    await send(response, request, reply, `${++state.answers}`);
  };

  const server = createServer((incoming, response) => {
    answer(incoming, response).catch((cause: unknown) => {
      const error = cause instanceof Error ? cause : new Error(String(cause));
      state.errors.push(error);
      if (!response.headersSent) sendJson(response, 400, { error: { message: `model script: ${error.message}` } });
      else response.destroy();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  opened("model server", `:${port}`, () => server.closeAllConnections());

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests: state.requests,
    titleRequests: state.titleRequests,
    disconnected: state.disconnected,
    errors: state.errors,
    use(next) {
      state.script = next;
    },
    async stop() {
      const done = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await done;
      closed("model server", `:${port}`);
    },
  };
}

async function send(response: ServerResponse, request: ModelRequest, reply: ModelReply, id: string): Promise<void> {
  if ("hang" in reply) return;
  if ("delayMs" in reply && reply.delayMs) await pause(reply.delayMs);
  if (response.destroyed) return;
  if ("status" in reply) {
    return sendJson(response, reply.status, reply.body ?? { error: { message: `scripted ${reply.status}` } }, reply.headers);
  }
  response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-cache" });
  const chunk = (delta: unknown, finish: string | null = null, extra: object = {}) =>
    void response.write(
      `data: ${JSON.stringify({
        id: `chatcmpl-${id}`,
        object: "chat.completion.chunk",
        created: Math.floor(request.at / 1000),
        model: request.model,
        choices: [{ index: 0, delta, finish_reason: finish }],
        ...extra,
      })}\n\n`,
    );
  chunk({ role: "assistant", content: "" });
  if ("stream" in reply) await sendPieces(response, reply, chunk);
  else sendAnswer(reply, chunk, id);
  const calls = "stream" in reply ? 0 : (reply.toolCalls?.length ?? 0);
  chunk({}, calls > 0 ? "tool_calls" : "stop", { usage: usageOf("stream" in reply ? {} : reply) });
  response.end("data: [DONE]\n\n");
}

type Chunk = (delta: unknown) => void;

async function sendPieces(response: ServerResponse, reply: { stream: string[]; gapMs: number }, chunk: Chunk): Promise<void> {
  for (const piece of reply.stream) {
    if (response.destroyed) return;
    chunk({ content: piece });
    await pause(reply.gapMs);
  }
}

function sendAnswer(reply: Answer, chunk: Chunk, id: string): void {
  if (reply.text !== undefined) chunk({ content: reply.text });
  if (reply.toolCalls?.length) chunk(toolCallDelta(reply.toolCalls, id));
}

function usageOf(reply: Answer): unknown {
  const { input, output } = reply.usage ?? { input: 100, output: 10 };
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

function sendJson(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
