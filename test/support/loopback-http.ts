/**
 * One request per connection over `node:net`. Not `node:http`: under Bun 1.3 that never tells that a client went away
 * once the request's body was read, and an aborted turn shows as nothing else.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  /** The client has closed the connection. */
  isGone(): boolean;
  onGone(listener: () => void): void;
  head(status: number, headers: Record<string, string>): void;
  write(text: string): void;
  end(text?: string): void;
  /** Cuts the connection, whatever was sent. */
  drop(): void;
  readonly headSent: boolean;
}

export interface LoopbackServer {
  readonly port: number;
  /** Cuts all connections at once. */
  cut(): void;
  close(): Promise<void>;
}

export async function listenOnLoopback(handle: (exchange: Exchange) => void, port = 0): Promise<LoopbackServer> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let received: Buffer = Buffer.alloc(0);
    const onData = (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const request = parse(received);
      if (!request) return;
      socket.off("data", onData);
      socket.resume(); // a paused socket would not see the client's end
      handle(exchangeOn(socket, request));
    };
    socket.on("data", onData);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    cut,
    async close() {
      const done = new Promise<void>((resolve) => server.close(() => resolve()));
      cut();
      await done;
    },
  };
}

interface Request {
  method: string;
  path: string;
  body: string;
}

function parse(received: Buffer): Request | undefined {
  const headEnd = received.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = received.toString("latin1", 0, headEnd);
  const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  const body = received.subarray(headEnd + 4);
  if (body.length < length) return undefined;
  const [method = "", path = ""] = head.split(" ", 2);
  return { method, path, body: body.toString("utf8", 0, length) };
}

function exchangeOn(socket: Socket, request: Request): Exchange {
  let headSent = false;
  let ended = false;
  let gone = false;
  const listeners: (() => void)[] = [];
  const leave = () => {
    if (ended || gone) return;
    gone = true;
    for (const listener of listeners) listener();
  };
  socket.once("end", leave);
  socket.once("close", leave);
  const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;
  const send = (text: string) => {
    if (!gone && !ended) socket.write(text);
  };
  return {
    ...request,
    get headSent() {
      return headSent;
    },
    isGone: () => gone,
    onGone: (listener) => void listeners.push(listener),
    head(status, headers) {
      headSent = true;
      const all = { ...headers, "transfer-encoding": "chunked", connection: "close" };
      const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
      send(`HTTP/1.1 ${status} Scripted\r\n${lines.join("")}\r\n`);
    },
    write: (text) => send(chunk(text)),
    end(text) {
      send(`${text ? chunk(text) : ""}0\r\n\r\n`);
      ended = true;
      socket.end();
    },
    drop() {
      ended = true;
      socket.destroy();
    },
  };
}
