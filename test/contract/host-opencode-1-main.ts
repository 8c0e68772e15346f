import { writeFileSync } from "node:fs";
import { join as pathOf } from "node:path";
import type { PluginModule } from "@opencode-ai/plugin";
import type { SessionEvent } from "../../src/core/ports.ts";
import { createAdapter } from "../../src/hosts/opencode-1/adapter.ts";
import { join } from "../../src/hosts/opencode-1/instances.ts";
import { PluginError } from "../../src/shared/error-code.ts";
import { listenOnLoopback } from "../support/loopback-http.ts";
import { createProbeTools } from "./host-tools.ts";

/*
 * A plugin that runs in OpenCode and lets a test call the real adapter's ports: `POST /` with `{ method, args }`. Its
 * address is written to the test's home.
 */

// biome-ignore lint/suspicious/noExplicitAny: arguments come as JSON from the test, which has the types
type Methods = Record<string, (...args: any[]) => unknown>;

export default {
  id: "host-contract",
  async server(input) {
    const adapter = createAdapter(input, { recordedJob: async () => null, placeOfJobs: async () => "own" });
    const { sessions, orchestrators } = adapter;
    const heard: SessionEvent[] = [];
    const reports: string[] = [];
    sessions.on((event) => heard.push(event));
    const methods: Methods = {
      create: sessions.create,
      prompt: sessions.prompt,
      tell: sessions.tell,
      read: sessions.read,
      closed: sessions.closed,
      abort: sessions.abort,
      heard: (since: number) => heard.slice(since),
      async view(sessionID, deliveries) {
        const { traceOf, ...view } = await orchestrators.view(sessionID, deliveries);
        return { ...view, traces: deliveries.map(traceOf) };
      },
      post: orchestrators.post,
      catalog: async () => ({ ...(await adapter.catalog()), models: [...(await adapter.catalog()).models] }),
      reports: () => reports,
    };
    const server = await listenOnLoopback(async (exchange) => {
      const { method, args } = JSON.parse(exchange.body);
      const value = Promise.resolve(args).then((given) => methods[method]?.(...given));
      const answer = await value.then(
        (data) => ({ data: data ?? null }),
        (error) => ({ code: error instanceof PluginError ? error.code : "bug", message: String(error?.message) }),
      );
      exchange.head(200, { "content-type": "application/json" });
      exchange.end(JSON.stringify(answer));
    });
    if (!input.directory.endsWith(".git"))
      writeFileSync(pathOf(process.env.HOME ?? "", "address"), `http://127.0.0.1:${server.port}`);
    return join(input, {
      ...adapter.hooks,
      tool: adapter.toolDefinitions(createProbeTools((line) => reports.push(line))),
      "chat.message": async (_input, { message, parts }) => adapter.onUserMessage(message, parts),
      dispose: async () => {
        adapter.onDispose();
        server.cut();
        await adapter.closeJobInstance();
      },
    });
  },
} satisfies PluginModule;
