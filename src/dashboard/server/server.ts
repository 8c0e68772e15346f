import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Lab } from "../../lab/lab.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import { decideAccess, parametersOf, pathOf } from "./access.ts";
import { type Answer, refusal } from "./answer.ts";
import { EventStream } from "./event-stream.ts";
import { LOCKED_PAGE, type Page, SAFE_HEADERS } from "./page-file.ts";
import type { JobWork } from "./routes.ts";
import { respondTo } from "./routes.ts";
import { SessionFeeds } from "./session-feed.ts";

export interface DashboardOptions {
  readonly lab: Lab;
  readonly clock: Clock;
  /** Shown first; null = the newest session. */
  readonly session: string | null;
  /** 0 = any that is free. */
  readonly port: number;
  readonly token: string;
  readonly page: Page;
  readonly readWork: (session: string, jobID: string) => Promise<JobWork>;
}

export interface Dashboard {
  readonly port: number;
  /** With the token. */
  readonly url: string;
  close(): Promise<void>;
}

/** Open pages at once; each is a stream. */
const MOST_STREAMS = 32;
const MOST_BYTES = 256 * 1024;
const CLOSE_MS = 1_000;

/**
 * Serves the dashboard on 127.0.0.1 until it is closed.
 * @throws what `node:http` throws where it cannot listen, such as EADDRINUSE
 */
export async function serveDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { lab, clock, token } = options;
  const feeds = new SessionFeeds(lab, clock);
  /** What ends each. */
  const streams = new Set<() => void>();

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? "/";
    const { host, origin, authorization } = request.headers;
    const access = decideAccess({ target, host, origin, authorization }, { port, token });
    const path = pathOf(target);
    if (access.kind === "refused") {
      const isVisit = request.method === "GET" && path === "/" && access.status === 401;
      return send(response, isVisit ? { ...page(LOCKED_PAGE), status: 401 } : refusal(access.status, access.message));
    }
    const session = parametersOf(target).get("session") || options.session || lab.sessions(null)[0]?.id || null;
    if (request.method === "GET" && path === "/") return send(response, page(options.page));
    if (request.method === "GET" && path === "/events") return stream(session, request, response);
    const body = request.method === "POST" ? await readBody(request) : "";
    if (body === null) return send(response, refusal(413, `The request is longer than ${MOST_BYTES} bytes.`), true);
    send(response, await respondTo({ ...options, session, path, body, request }));
  }

  function stream(session: string | null, { socket }: IncomingMessage, response: ServerResponse): void {
    if (streams.size >= MOST_STREAMS) {
      send(response, refusal(503, `There are ${MOST_STREAMS} open pages already; close one.`));
      return;
    }
    response.writeHead(200, { ...SAFE_HEADERS, "content-type": "text/event-stream; charset=utf-8" });
    const events = new EventStream(
      {
        write: (text) => response.write(text),
        onDrain: (listener) => void response.on("drain", listener),
        cut: () => response.destroy(),
      },
      clock,
    );
    const stop = feeds.follow(session, (parts) => events.update(parts));
    const end = () => {
      if (!streams.delete(end)) return;
      events.close();
      stop();
      response.end(() => socket.destroy());
    };
    streams.add(end);
    // Not the response, which under Bun 1.3 never tells that the page has gone.
    socket.once("close", end);
  }

  const server = createServer({ maxHeaderSize: 16_384 }, (request, response) => {
    response.on("error", () => response.destroy()); // the page has gone
    handle(request, response).catch((error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      if (response.headersSent) response.destroy();
      else send(response, refusal(500, `Could not answer: ${why}`));
    });
  });
  server.maxConnections = 4 * MOST_STREAMS;
  const port = await listen(server, options.port);

  return {
    port,
    url: `http://127.0.0.1:${port}/?token=${encodeURIComponent(token)}`,
    async close() {
      for (const end of [...streams]) end();
      feeds.close();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      // Under Bun 1.3 a connection may outlive this, which must not keep whoever closes.
      await Promise.race([closed, sleep(clock, CLOSE_MS)]);
    },
  };
}

const page = ({ html, policy }: Page): Answer => ({
  status: 200,
  headers: { "content-type": "text/html; charset=utf-8", "content-security-policy": policy },
  body: html,
});

function send(response: ServerResponse, { status, headers, body }: Answer, isLast = false): void {
  response.writeHead(status, { ...SAFE_HEADERS, ...headers, ...(isLast && { connection: "close" }) });
  response.end(body);
}

/** @returns null = it is longer than is accepted; read to its end all the same, or the answer would not arrive */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes <= MOST_BYTES) chunks.push(chunk as Buffer);
  }
  return bytes > MOST_BYTES ? null : Buffer.concat(chunks).toString("utf8");
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      server.off("error", reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
