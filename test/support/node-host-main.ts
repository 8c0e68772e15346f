/**
 * Runs the server part of a plugin in plain Node, as the desktop app does: a client over loopback, no Bun, no `$`.
 * Commands come as JSON lines on standard input, answers and the ready note go out the same way.
 */
import { createInterface } from "node:readline";
import { createOpencodeClient } from "@opencode-ai/sdk";
import type { Event } from "@opencode-ai/sdk/v2/client";
import { followEvents } from "./server-events.ts";

interface Setting {
  module: string;
  url: string;
  directory: string;
  options: Record<string, unknown>;
}

export interface ToolCall {
  call: number;
  tool: string;
  args: unknown;
  context: { sessionID: string; messageID: string; agent: string; callID?: string };
}

type Command = ToolCall | { abort: number } | { dispose: true };

interface Hooks {
  tool?: Record<string, { execute(args: unknown, context: unknown): Promise<unknown> }>;
  event?(input: { event: unknown }): Promise<void>;
  config?(config: unknown): Promise<void>;
  dispose?(): Promise<void>;
}

const setting = JSON.parse(process.argv[2] ?? "{}") as Setting;
const say = (line: object) => void process.stdout.write(`${JSON.stringify(line)}\n`);
const running = new Map<number, AbortController>();

const plugin = (await import(setting.module)).default as {
  id: string;
  server(input: unknown, options: unknown): Promise<Hooks>;
};
const client = createOpencodeClient({ baseUrl: setting.url, directory: setting.directory });
const project = (await client.project.current()).data;
const hooks = await plugin.server(
  { client, project, directory: setting.directory, worktree: setting.directory, serverUrl: new URL(setting.url) },
  setting.options,
);
const config = (await client.config.get()).data;
await hooks.config?.(config);
say({ config });

const commands = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
await commands.next(); // the server has the configuration
const onEvent = (event: Event): void => {
  hooks.event?.({ event }).catch((error: unknown) => say({ hookFailed: String(error) })); // the host does not await it either
};
const events = await followEvents(setting.url, setting.directory, { onEvent });
say({ ready: Object.keys(hooks.tool ?? {}) });

for await (const line of { [Symbol.asyncIterator]: () => commands }) {
  const command = JSON.parse(line) as Command;
  if ("abort" in command) running.get(command.abort)?.abort();
  else if ("dispose" in command) break;
  else void execute(command);
}
await hooks.dispose?.();
await events.close();
say({ disposed: true });
process.exit(0);

async function execute({ call, tool, args, context }: ToolCall): Promise<void> {
  const abort = new AbortController();
  running.set(call, abort);
  try {
    const found = hooks.tool?.[tool];
    if (!found) throw new Error(`the plugin has no tool ${tool}`);
    const nothing = async () => {};
    const full = {
      ...context,
      abort: abort.signal,
      directory: setting.directory,
      worktree: setting.directory,
      extra: {},
      messages: [],
    };
    const result = await found.execute(args, { ...full, metadata: nothing, ask: nothing });
    say({ call, result: typeof result === "string" ? { output: result } : result });
  } catch (error) {
    say({ call, error: error instanceof Error ? error.message : String(error) });
  } finally {
    running.delete(call);
  }
}
