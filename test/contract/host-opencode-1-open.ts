import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { OrchestratorView, Trace } from "../../src/core/notice.ts";
import type { Catalog, CatalogModel, ChildSessions, OrchestratorSessions, SessionEvent } from "../../src/core/ports.ts";
import { type ErrorCode, PluginError } from "../../src/shared/error-code.ts";
import { createHostIds } from "../../src/shared/ids.ts";
import { startModelServer } from "../support/model-server.ts";
import { must, startServe } from "../support/opencode.ts";
import { createHome } from "../support/opencode-home.ts";
import { scriptedModel } from "../support/scripted.ts";
import { pause, until } from "../support/wait.ts";
import type { HostUnderTest } from "./host-under-test.ts";

const PLUGIN = join(import.meta.dirname, "host-opencode-1-main.ts");

/**
 * The real OpenCode with the adapter in a plugin, whose ports are called over loopback.
 * @param snapshot whether OpenCode takes snapshots of the project: then sessions of jobs run in an instance of their own
 */
export async function openHost(snapshot: boolean): Promise<HostUnderTest> {
  const model = await startModelServer(scriptedModel);
  const home = createHome({
    modelUrl: model.url,
    plugins: [PLUGIN],
    snapshot,
    config: { permission: { probe_asked: "ask", probe_denied: "deny" } },
  });
  const server = await startServe(home);
  const { client } = server;
  const address = await until(() => readFileSync(join(home.home, "address"), "utf8"), { what: "the plugin is loaded" });
  async function remote<T>(method: string, ...args: unknown[]): Promise<T> {
    const response = await fetch(address, { method: "POST", body: JSON.stringify({ method, args }) });
    const answer = (await response.json()) as { data: T } | { code: ErrorCode; message: string };
    if ("code" in answer) throw new PluginError(answer.code, answer.message);
    return answer.data;
  }
  const openQuestion = (sessionID: string) =>
    until(async () => must(await client.permission.list()).find((one) => one.sessionID === sessionID), {
      what: "the user is asked",
    });
  const listening = new AbortController();

  const sessions: ChildSessions = {
    create: (request) => remote("create", request),
    prompt: (request) => remote("prompt", request),
    tell: (request) => remote("tell", request),
    read: (...request) => remote("read", ...request),
    closed: (sessionID) => remote("closed", sessionID),
    abort: (sessionID) => remote("abort", sessionID),
    on(listener) {
      void (async () => {
        for (let count = 0; !listening.signal.aborted; await pause(50)) {
          const events = await remote<SessionEvent[]>("heard", count);
          for (const event of events) listener(event);
          count += events.length;
        }
      })().catch(() => {}); // the host has ended
      return () => listening.abort();
    },
  };
  const orchestrators: OrchestratorSessions = {
    parentOf: async () => null,
    atWork: async () => new Set(),
    async view(sessionID, deliveries) {
      const read = await remote<ViewWithTraces>("view", sessionID, deliveries);
      return { ...read, traceOf: (delivery) => read.traces[deliveries.indexOf(delivery)] ?? "absent" };
    },
    post: (message) => remote("post", message),
  };
  return {
    sessions,
    orchestrators,
    async catalog() {
      const read = await remote<Omit<Catalog, "models"> & { models: [string, CatalogModel][] }>("catalog");
      return { ...read, models: new Map(read.models) };
    },
    reports: () => remote("reports"),
    newMessageID: () => messageIDs("msg"),
    model,
    createSession: async () => (await server.createSession()).id,
    write: (sessionID, text) => server.promptAsync(sessionID, text),
    stopTurn: async (sessionID) => void must(await client.session.abort({ sessionID })),
    deleteSession: async (sessionID) => void must(await client.session.delete({ sessionID })),
    async asked(sessionID) {
      await openQuestion(sessionID);
    },
    async answer(sessionID, answer) {
      const { id } = await openQuestion(sessionID);
      must(await client.permission.reply({ requestID: id, reply: answer === "allow" ? "once" : "reject" }));
    },
    async shown(sessionID) {
      return JSON.stringify(await server.messages(sessionID));
    },
    unrestrictedAgent: "build",
    writingCall: (file) => ({ name: "bash", args: { command: `touch ${file}`, description: "Write a file" } }),
    async stop() {
      listening.abort();
      await server.stop();
      await home.remove();
      await model.stop();
    },
  };
}

type ViewWithTraces = Omit<OrchestratorView, "traceOf"> & { readonly traces: readonly Trace[] };

const messageIDs = createHostIds(() => Date.now());
