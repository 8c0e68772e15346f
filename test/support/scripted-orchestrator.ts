import type { JobStart, OrchestratorView, Trace } from "../../src/core/notice.ts";
import type { OrchestratorMessage, OrchestratorSessions } from "../../src/core/ports.ts";
import type { Clock } from "../../src/shared/clock.ts";

/**
 * An orchestrator's session as OpenCode keeps it. An idle session answers our message a little later, a busy one when the
 * test says so. Messages and tool calls leave the traces that the host's own store would show.
 */
export interface ScriptedOrchestrator extends OrchestratorSessions {
  /** Messages handed over, in order, including those sent again. */
  readonly posts: readonly OrchestratorMessage[];
  busy: boolean;
  stoppedAt: number | null;
  /** Sessions above others. */
  readonly parents: Map<string, string>;
  /** Sessions below others with a turn under way. */
  readonly busyBelow: Set<string>;
  closed: OrchestratorView["closed"];
  /** What the session shows of the calls that started its jobs. */
  start: JobStart;
  /** The host accepts messages but does not store them. */
  losesPosts: boolean;
  /** The host stores messages but starts no turn. */
  neverWakes: boolean;
  /** Called before each call; may reject. */
  onCall: (name: "view" | "post") => void | Promise<void>;
  /** Sets the trace that the message or tool call with this id has left. */
  setTrace(id: string, trace: Trace): void;
  traceOf(id: string): Trace;
}

const ANSWER_MS = 20;

export function createScriptedOrchestrator(clock: Clock): ScriptedOrchestrator {
  const posts: OrchestratorMessage[] = [];
  const traces = new Map<string, Trace>();
  const newest = () =>
    [...traces.keys()]
      .filter((id) => id.startsWith("msg"))
      .sort()
      .at(-1) ?? null;

  const fake: ScriptedOrchestrator = {
    posts,
    busy: false,
    stoppedAt: null,
    closed: null,
    start: "known",
    losesPosts: false,
    neverWakes: false,
    onCall: () => {},
    setTrace: (id, trace) => void traces.set(id, trace),
    traceOf: (id) => traces.get(id) ?? "absent",
    parents: new Map(),
    busyBelow: new Set(),
    parentOf: async (sessionID) => fake.parents.get(sessionID) ?? null,
    atWork: async () => fake.busyBelow,
    async view() {
      await fake.onCall("view");
      return {
        busy: fake.busy,
        stoppedAt: fake.stoppedAt,
        newestMessageID: newest(),
        closed: fake.closed,
        startOf: () => fake.start,
        traceOf: (delivery) => fake.traceOf(delivery.kind === "call" ? delivery.callID : delivery.messageID),
      };
    },
    async post(message) {
      await fake.onCall("post");
      posts.push(message);
      if (fake.losesPosts) return;
      if (fake.traceOf(message.messageID) === "absent") fake.setTrace(message.messageID, "unanswered");
      if (fake.busy || fake.neverWakes) return;
      // A turn answers every message that precedes it.
      clock.after(ANSWER_MS, () => {
        for (const [id, trace] of traces) if (trace === "unanswered") fake.setTrace(id, "arrived");
      });
    },
  };
  return fake;
}
