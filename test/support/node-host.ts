import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { startProcess } from "./child-process.ts";
import { type OpencodeServer, startServe } from "./opencode.ts";
import { type OpencodeHome, repositoryRoot } from "./opencode-home.ts";
import { until, within } from "./wait.ts";

export const nodeBinary = join(repositoryRoot, "node_modules/node/bin/node");
const main = fileURLToPath(new URL("./node-host-main.ts", import.meta.url));

export interface ToolResult {
  title?: string;
  output: string;
  metadata?: Record<string, unknown>;
}

export interface NodeHost {
  /** The server behind it, without the plugin but with the agents and rules that the plugin's config hook adds. */
  readonly server: OpencodeServer;
  readonly tools: string[];
  /** Calls a tool as the model of `sessionID` would. A thrown error rejects with its message. */
  call(
    tool: string,
    args: unknown,
    context: { sessionID: string; messageID?: string },
    options?: { timeoutMs?: number; abort?: AbortSignal },
  ): Promise<ToolResult>;
  stderr(): string;
  /** Dispose, then the end of both processes. */
  stop(): Promise<void>;
  /** SIGKILL to the plugin's process; the server stays. */
  kill(): Promise<void>;
}

interface Line {
  config?: Record<string, unknown>;
  ready?: string[];
  call?: number;
  result?: ToolResult;
  error?: string;
}

/**
 * The desktop app's arrangement: the plugin in a Node process, the sessions in an `opencode serve` beside it. Child
 * sessions have none of the plugin's tools, so their scripted model answers in plain text.
 * @param plugin.module file whose default export is `{ id, server }`, usually `dist/index.js`
 */
export async function startNodeHost(
  home: OpencodeHome,
  plugin: { module: string; options?: Record<string, unknown>; env?: Record<string, string> },
): Promise<NodeHost> {
  const configFile = join(home.root, "from-plugin.json");
  writeFileSync(configFile, "{}");
  const server = await startServe(home, { env: { OPENCODE_CONFIG: configFile } });
  const setting = {
    module: pathToFileURL(plugin.module).href,
    url: server.url,
    directory: home.project,
    options: plugin.options ?? {},
  };
  const node = await startProcess(
    nodeBinary,
    ["--disable-warning=ExperimentalWarning", main, JSON.stringify(setting)],
    {
      cwd: home.project,
      env: { ...home.env, ...plugin.env },
      stdin: "pipe",
      name: "node host",
    },
  );
  const lines: Line[] = [];
  let rest = "";
  node.onStdout((chunk) => {
    const parts = (rest + chunk).split("\n");
    rest = parts.pop() ?? "";
    for (const part of parts) if (part.startsWith("{")) lines.push(JSON.parse(part) as Line);
  });
  const seen = () => node.stdout() + node.stderr();
  const send = (command: object) => node.write(`${JSON.stringify(command)}\n`);
  const stop = async () => {
    send({ dispose: true });
    await within(node.exited, 10_000, "the node host disposes", seen).finally(() => node.kill());
    await server.stop();
  };

  try {
    const first = <Key extends keyof Line>(key: Key) =>
      until(() => lines.find((line) => line[key] !== undefined)?.[key], {
        what: `the node host says "${key}"`,
        seen,
      });
    await publishConfig(server, configFile, await first("config"));
    send({ published: true });
    const tools = await first("ready");
    let calls = 0;
    return {
      server,
      tools,
      stderr: node.stderr,
      stop,
      kill: async () => void (await node.kill()),
      async call(tool, args, { sessionID, messageID = "msg_none" }, { timeoutMs = 60_000, abort } = {}) {
        const call = ++calls;
        const onAbort = () => send({ abort: call });
        abort?.addEventListener("abort", onAbort);
        send({ call, tool, args, context: { sessionID, messageID, agent: "build", callID: `call_${call}` } });
        const what = `${tool} returns`;
        const line = await until(() => lines.find((candidate) => candidate.call === call), {
          what,
          timeoutMs,
          everyMs: 10,
          seen,
        });
        abort?.removeEventListener("abort", onAbort);
        if (line.error !== undefined) throw new Error(line.error);
        return line.result as ToolResult;
      },
    };
  } catch (error) {
    await node.kill();
    await server.stop();
    throw error;
  }
}

/** In the app plugin and sessions share one configuration; here the server gets what the plugin's hook made of it. */
async function publishConfig(server: OpencodeServer, file: string, config: Record<string, unknown>): Promise<void> {
  const { agent, permission, skills, command } = config;
  writeFileSync(file, JSON.stringify({ agent, permission, skills, command }));
  const since = server.events.all.length;
  await server.client.instance.dispose();
  await server.events.waitFor((event) => event.type === "server.connected", { what: "the server has read it", since });
}
