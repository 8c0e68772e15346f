import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Delivery, Trace } from "../../src/core/notice.ts";
import type { Catalog, ChildSessions, OrchestratorSessions, SessionEvent } from "../../src/core/ports.ts";
import { DEFAULT_AGENT } from "../../src/core/task.ts";
import type { Transcript } from "../../src/core/turn-outcome.ts";
import type { ModelServer } from "../support/model-server.ts";
import { until } from "../support/wait.ts";

/** A running host with the tools of `host-tools.ts`, the ports of its adapter, and what its user can do. */
export interface HostUnderTest {
  readonly sessions: ChildSessions;
  readonly orchestrators: OrchestratorSessions;
  catalog(): Promise<Catalog>;
  /** What the tools reported. */
  reports(): Promise<readonly string[]>;
  /** An id for a new message, as the domain makes them. */
  newMessageID(): string;
  /** The model that every session of the host talks to, as `mock/m1`. */
  readonly model: ModelServer;
  /** A session of the user's. */
  createSession(): Promise<string>;
  /** The user writes a message; resolves once the host has taken it. */
  write(sessionID: string, text: string): Promise<void>;
  /** The user stops the session's turn. */
  stopTurn(sessionID: string): Promise<void>;
  deleteSession(sessionID: string): Promise<void>;
  /** Resolves once the session has an open question. */
  asked(sessionID: string): Promise<void>;
  /** Answers the session's open question. `probe_asked` is configured to be asked, `probe_denied` to be denied. */
  answer(sessionID: string, answer: "allow" | "refuse"): Promise<void>;
  /** All text people see in the session now. */
  shown(sessionID: string): Promise<string>;
  /** An agent of the host that may use all its tools. */
  readonly unrestrictedAgent: string;
  /** A call of one of the host's own tools that would write this file on the user's machine. */
  writingCall(file: string): { readonly name: string; readonly args: unknown };
  stop(): Promise<void>;
}

/** One host for all tests of a suite, usable inside them, and what they do with it. */
export function useHost(open: () => Promise<HostUnderTest>) {
  let host: HostUnderTest;
  let folder: string;
  const heard: SessionEvent[] = [];
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "host-"));
    host = await open();
    host.sessions.on((event) => heard.push(event));
  });
  afterAll(async () => {
    await host?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  let count = 0;
  /** A file that does not exist yet; a call of a probe tool with it as `hold` ends once it does. */
  const newFile = () => join(folder, `file-${++count}`);
  const release = (file: string) => writeFileSync(file, "");
  /** Requests to the model that a message with this text has caused. */
  const requestsOf = (text: string) => host.model.requests.filter(({ lastUser }) => lastUser === text);
  const hears = (what: string, matches: (event: SessionEvent) => boolean) => until(() => heard.find(matches), { what });
  const says = (line: string) =>
    until(async () => (await host.reports()).includes(line), { what: `${line} is reported` });

  async function openChild(forbidden: readonly string[] = []) {
    const orchestrator = await host.createSession();
    const title = "count words (@sandbox_worker subagent)";
    const request = { orchestrator, jobID: "job_1", title, agent: DEFAULT_AGENT, forbidden };
    return { orchestrator, child: await host.sessions.create(request) };
  }
  const request = (sessionID: string, text: string, agent = DEFAULT_AGENT) =>
    ({ sessionID, messageID: host.newMessageID(), agent, model: "mock/m1", text }) as const;
  const reaches = (sessionID: string, messageID: string, what: string, is: (seen: Transcript) => boolean) =>
    until(async () => [await host.sessions.read(sessionID, messageID)].find(is), { what });
  const ends = (sessionID: string, messageID: string): Promise<Transcript> =>
    reaches(sessionID, messageID, "the turn ends", ({ activity, messages }) => {
      const last = messages.at(-1);
      return activity === "idle" && last?.role === "assistant" && (last.completed || last.error !== null);
    });
  async function turn(sessionID: string, text: string, agent?: string): Promise<Transcript> {
    const prompt = request(sessionID, text, agent);
    await host.sessions.prompt(prompt);
    return ends(sessionID, prompt.messageID);
  }
  const rests = (sessionID: string) =>
    until(async () => !(await host.orchestrators.view(sessionID, [])).busy, { what: "the session is idle" });
  async function userTurn(sessionID: string, text: string): Promise<void> {
    await host.write(sessionID, text);
    await until(() => requestsOf(text).length > 0, { what: "the model is asked" });
    await rests(sessionID);
  }
  const trace = async (sessionID: string, delivery: Delivery) =>
    (await host.orchestrators.view(sessionID, [delivery])).traceOf(delivery);
  const traces = (sessionID: string, delivery: Delivery, wanted: Trace) =>
    until(async () => (await trace(sessionID, delivery)) === wanted, { what: `the delivery is ${wanted}` });

  return {
    host: () => host,
    newFile,
    release,
    requestsOf,
    hears,
    says,
    openChild,
    request,
    reaches,
    ends,
    turn,
    rests,
    userTurn,
    trace,
    traces,
    /** Kinds of the events heard of a session. */
    kindsHeard: (of: string) => new Set(heard.filter(({ sessionID }) => sessionID === of).map(({ kind }) => kind)),
  };
}
