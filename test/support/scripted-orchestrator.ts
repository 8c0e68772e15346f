import type { Trace } from "../../src/jobs/core/notice.ts";
import type { OrchestratorMessage, OrchestratorSessions } from "../../src/jobs/core/ports.ts";
import type { Clock } from "../../src/shared/clock.ts";

/**
 * An orchestrator's session as OpenCode keeps it: an idle one answers a message of ours a little later, a busy one when
 * its test says so. Messages and calls leave the traces that the host's own store would show.
 */
export interface ScriptedOrchestrator extends OrchestratorSessions {
  /** In order, repetitions included. */
  readonly posts: readonly OrchestratorMessage[];
  busy: boolean;
  stoppedAt: number | null;
  /** The host accepts messages and stores none. */
  losesPosts: boolean;
  /** The host stores messages and wakes nobody. */
  sleeps: boolean;
  /** Called before each call of the name; may reject. */
  onCall: (name: "view" | "post") => void | Promise<void>;
  /** A message, or the call of this id, has left this trace; by the host or by the user. */
  leave(id: string, trace: Trace): void;
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
    losesPosts: false,
    sleeps: false,
    onCall: () => {},
    leave: (id, trace) => void traces.set(id, trace),
    traceOf: (id) => traces.get(id) ?? "absent",
    async view() {
      await fake.onCall("view");
      return {
        busy: fake.busy,
        stoppedAt: fake.stoppedAt,
        newestMessageID: newest(),
        traceOf: (delivery) => fake.traceOf(delivery.kind === "call" ? delivery.callID : delivery.messageID),
      };
    },
    async post(message) {
      await fake.onCall("post");
      posts.push(message);
      if (fake.losesPosts) return;
      if (fake.traceOf(message.messageID) === "absent") fake.leave(message.messageID, "unanswered");
      if (fake.busy || fake.sleeps) return;
      // A turn answers everything that stands before it.
      clock.after(ANSWER_MS, () => {
        for (const [id, trace] of traces) if (trace === "unanswered") fake.leave(id, "arrived");
      });
    },
  };
  return fake;
}
