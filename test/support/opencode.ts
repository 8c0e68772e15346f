import { existsSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import {
  createOpencodeClient,
  type Message,
  type OpencodeClient,
  type Part,
  type Session,
  type ToolPart,
} from "@opencode-ai/sdk/v2/client";
import { startProcess } from "./child-process.ts";
import { replacing } from "./ledger.ts";
import { type OpencodeHome, opencodeBinary } from "./opencode-home.ts";
import { followEvents, type ServerEvents } from "./server-events.ts";
import { pause, until } from "./wait.ts";

export interface PromptOptions {
  agent?: string;
  model?: string;
  messageID?: string;
  /** Longest time that the turn may take; absent = what a test has. */
  limitMs?: number;
}

export interface StoredMessage {
  info: Message;
  parts: Part[];
}

export interface OpencodeServer {
  readonly url: string;
  readonly pid: number;
  readonly client: OpencodeClient;
  readonly events: ServerEvents;
  createSession(input?: { title?: string; parentID?: string; agent?: string }): Promise<Session>;
  /** Resolves when the whole turn has ended, with the last assistant message. */
  prompt(sessionID: string, text: string, options?: PromptOptions): Promise<StoredMessage>;
  promptAsync(sessionID: string, text: string, options?: PromptOptions): Promise<void>;
  messages(sessionID: string): Promise<StoredMessage[]>;
  children(sessionID: string): Promise<Session[]>;
  toolParts(sessionID: string, tool: string): Promise<ToolPart[]>;
  whenIdle(sessionID: string, timeoutMs?: number): Promise<void>;
  /** What the server printed, and its log file. */
  log(): string;
  /** SIGTERM. */
  stop(): Promise<void>;
  /** Sends SIGKILL to the server and everything that it started. */
  kill(): Promise<void>;
}

const SERVE = "opencode serve";

/** A test has 240 s. */
const TURN_MS = 220_000;

/**
 * `opencode serve` on the home's project; ready when the project's instance, and so the plugin, is loaded.
 * @param options.under a command that runs the server: its own arguments come first, the server's after them
 */
export async function startServe(
  home: OpencodeHome,
  options: { env?: Record<string, string>; under?: readonly string[] } = {},
): Promise<OpencodeServer> {
  const port = await freePort();
  const serve = [opencodeBinary, "serve", "--hostname", "127.0.0.1", "--port", String(port)];
  const [command = opencodeBinary, ...args] = [...(options.under ?? []), ...serve];
  const env = { ...home.env, ...options.env };
  const server = await startProcess(command, args, { cwd: home.project, env, name: SERVE });
  const log = () =>
    `${server.stdout()}${server.stderr()}${existsSync(home.logFile) ? readFileSync(home.logFile, "utf8") : ""}`;
  const url = `http://127.0.0.1:${port}`;
  const headers = credentials(env);
  let events: ServerEvents;
  try {
    await until(() => server.stdout().includes("listening on"), {
      what: "opencode serve listens",
      seen: log,
    });
    events = await followEvents(url, home.project, { headers });
  } catch (error) {
    await server.kill();
    throw error;
  }
  const client = createOpencodeClient({ baseUrl: url, directory: home.project, headers });
  return {
    url,
    pid: server.pid,
    client,
    events,
    ...sessionCalls(client),
    log,
    async stop() {
      await events.close();
      await server.stop();
    },
    async kill() {
      await server.kill();
      await events.close();
    },
  };
}

/**
 * Opens another project in a running server. Starting a process takes 2 to 3 seconds of CPU, a project half a second.
 * Stopping disposes the project's instance, and the plugin's with it; the process goes on.
 * @param home names the project
 */
export async function openProject(
  server: Pick<OpencodeServer, "url" | "pid" | "log">,
  home: OpencodeHome,
): Promise<OpencodeServer> {
  const { url, pid, log } = server;
  const events = await followEvents(url, home.project);
  const client = createOpencodeClient({ baseUrl: url, directory: home.project });
  return {
    url,
    pid,
    client,
    events,
    ...sessionCalls(client),
    log,
    async stop() {
      await events.close();
      must(await client.instance.dispose());
    },
    kill: () => Promise.reject(new Error("other projects live in the same process")),
  };
}

/** Starts a new process on the same home, which knows only what was written to disk. */
export async function restart(
  server: OpencodeServer,
  home: OpencodeHome,
  signal: "SIGTERM" | "SIGKILL" = "SIGTERM",
  meanwhile: () => Promise<void> = () => Promise.resolve(),
): Promise<OpencodeServer> {
  const entry = ({ pid }: OpencodeServer) => `${SERVE} (pid ${pid})`;
  const replacedBy = replacing("process", entry(server));
  await (signal === "SIGTERM" ? server.stop() : server.kill());
  await meanwhile();
  const next = await startServe(home);
  replacedBy(entry(next));
  return next;
}

function sessionCalls(client: OpencodeClient) {
  const messages = async (sessionID: string) => must(await client.session.messages({ sessionID }));
  const body = (sessionID: string, text: string, { agent, model, messageID }: PromptOptions = {}) => ({
    sessionID,
    parts: [{ type: "text" as const, text }],
    ...(agent === undefined ? {} : { agent }),
    ...(model === undefined ? {} : { model: modelOf(model) }),
    ...(messageID === undefined ? {} : { messageID }),
  });
  return {
    createSession: async (input: { title?: string; parentID?: string; agent?: string } = {}) =>
      must(await client.session.create(input)),
    async prompt(sessionID: string, text: string, { limitMs = TURN_MS, ...options }: PromptOptions = {}) {
      const turn = client.session.prompt(body(sessionID, text, options));
      const ended = await Promise.race([turn, pause(limitMs)]);
      // The test's own limit, soon after, would not say where it hangs.
      if (!ended) throw new Error(`the turn hangs: ${JSON.stringify((await messages(sessionID)).slice(-2))}`);
      return must(ended);
    },
    promptAsync: async (sessionID: string, text: string, options?: PromptOptions) => {
      const { error } = await client.session.promptAsync(body(sessionID, text, options));
      if (error) throw new Error(`prompt_async: ${JSON.stringify(error)}`);
    },
    messages,
    children: async (sessionID: string) => must(await client.session.children({ sessionID })),
    toolParts: async (sessionID: string, tool: string) =>
      (await messages(sessionID))
        .flatMap((message) => message.parts)
        .filter((part): part is ToolPart => part.type === "tool" && part.tool === tool),
    whenIdle: async (sessionID: string, timeoutMs = 60_000) => {
      const idle = async () => !(sessionID in must(await client.session.status()));
      await until(idle, { what: `session ${sessionID} is idle`, timeoutMs });
    },
  };
}

/** The data of an answer; an answer that is an error fails the test. */
export function must<T>(result: { data?: T | undefined; error?: unknown }): T {
  if (result.error !== undefined) throw new Error(`opencode answered an error: ${JSON.stringify(result.error)}`);
  return result.data as T;
}

function credentials({ OPENCODE_SERVER_PASSWORD: password }: Record<string, string>): Record<string, string> {
  return password === undefined ? {} : { authorization: `Basic ${btoa(`opencode:${password}`)}` };
}

/** "provider/model", as a user writes it. */
function modelOf(text: string): { providerID: string; modelID: string } {
  const slash = text.indexOf("/");
  return { providerID: text.slice(0, slash), modelID: text.slice(slash + 1) };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
