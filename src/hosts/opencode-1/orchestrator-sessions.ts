import type { JobOrigin } from "../../core/job.ts";
import type { Delivery, JobStart, OrchestratorView, Trace } from "../../core/notice.ts";
import type { OrchestratorSessions } from "../../core/ports.ts";
import { PluginError } from "../../shared/error-code.ts";
import { type HostClient, unwrap } from "./host-client.ts";

/** Messages. Enough to know the session's agent and model, and whether a message of ours was taken up. */
const READ_LIMIT = 20;

type HostMessages = NonNullable<Awaited<ReturnType<HostClient["session"]["messages"]>>["data"]>;
type HostMessage = HostMessages[number];

/** The user's own sessions in OpenCode 1 behind the port of the domain. */
export function createOrchestratorSessions(
  client: HostClient,
  parentOf: OrchestratorSessions["parentOf"],
): OrchestratorSessions {
  const newest = (sessionID: string, doing: string): Promise<HostMessages> =>
    unwrap(client.session.messages({ sessionID, limit: READ_LIMIT }), "prompt_failed", doing);

  return {
    parentOf,
    async atWork() {
      return new Set(Object.keys(await unwrap(client.session.status(), "prompt_failed", "list the busy sessions")));
    },
    async view(sessionID, deliveries, origins = []): Promise<OrchestratorView> {
      const doing = `read the session ${sessionID}`;
      const [messages, session, statuses] = await Promise.all([
        newest(sessionID, doing),
        unwrap(client.session.get({ sessionID }), "prompt_failed", doing),
        unwrap(client.session.status(), "prompt_failed", doing),
      ]);
      const known = new Map(messages.map((message) => [message.info.id, message]));
      const own = origins.filter((origin) => origin.sessionID === sessionID);
      // A subagent's calls are in its own session.
      const places = [...deliveries, ...own].map((one) => {
        const where = "sessionID" in one ? (one.sessionID ?? sessionID) : sessionID;
        return [one.messageID, where] as const;
      });
      for (const [messageID, where] of new Map(places)) {
        if (known.has(messageID)) continue;
        const answer = await client.session.message({ sessionID: where, messageID });
        if (answer.data) known.set(messageID, answer.data);
        else if (answer.response?.status !== 404) await unwrap(Promise.resolve(answer), "prompt_failed", doing);
      }
      const busy = sessionID in statuses; // idle sessions are not listed
      return {
        busy,
        closed: whyClosed(session, busy),
        startOf: (origin) =>
          origin.sessionID === sessionID ? startOf(origin, known.get(origin.messageID), session.revert) : "known",
        stoppedAt: stoppedAt(messages.at(-1)),
        newestMessageID: messages.at(-1)?.info.id ?? null,
        traceOf: (delivery) => toTrace(delivery, known.get(delivery.messageID), messages),
      };
    },
    async post({ sessionID, messageID, text }) {
      const doing = `read the session ${sessionID}`;
      const [messages, session, statuses] = await Promise.all([
        newest(sessionID, doing),
        unwrap(client.session.get({ sessionID }), "prompt_failed", doing),
        unwrap(client.session.status(), "prompt_failed", doing),
      ]);
      // It was open when this was decided. OpenCode deletes what is undone for good at the next prompt.
      const closed = whyClosed(session, sessionID in statuses);
      if (closed) throw new PluginError("prompt_failed", `The session ${sessionID} is ${closed} now.`);
      const current = agentAndModelOf(messages);
      const sent = client.session.promptAsync({
        sessionID,
        messageID,
        ...current, // otherwise the session would change to the default agent
        parts: [{ id: messageID.replace(/^msg/, "prt"), type: "text", synthetic: true, text }],
      });
      await unwrap(sent, "prompt_failed", `tell the session ${sessionID} of its jobs`);
    },
  };
}

type HostSession = NonNullable<Awaited<ReturnType<HostClient["session"]["get"]>>["data"]>;

/** A user at work in an archived session is using it again. */
function whyClosed({ revert, time }: Pick<HostSession, "revert" | "time">, busy: boolean): OrchestratorView["closed"] {
  if (revert) return "reverted";
  return time.archived !== undefined && !busy ? "archived" : null;
}

/** Ids of messages and parts are in order of their creation. */
function startOf({ callID }: JobOrigin, message: HostMessage | undefined, revert: HostSession["revert"]): JobStart {
  if (!message) return "gone";
  const part = message.parts.find((one) => one.type === "tool" && one.callID === callID);
  if (!part) return "gone";
  if (!revert || message.info.id < revert.messageID) return "known";
  const isBefore = message.info.id === revert.messageID && revert.partID !== undefined && part.id < revert.partID;
  return isBefore ? "known" : "undone";
}

function stoppedAt(last: HostMessage | undefined): number | null {
  if (last?.info.role !== "assistant" || last.info.error?.name !== "MessageAbortedError") return null;
  return last.info.time.completed ?? last.info.time.created;
}

function toTrace(delivery: Delivery, message: HostMessage | undefined, newest: HostMessages): Trace {
  if (!message) return "absent";
  if (delivery.kind === "call") {
    const part = message.parts.find((one) => one.type === "tool" && one.callID === delivery.callID);
    if (part?.type !== "tool") return "absent";
    const { status } = part.state;
    return status === "completed" ? "arrived" : status === "error" ? "lost" : "open";
  }
  const isAnswered = newest.some(
    ({ info }) =>
      info.role === "assistant" &&
      info.summary !== true && // of a compaction
      info.id > message.info.id &&
      // An answer begun before the message was stored does not know it.
      info.time.created >= message.info.time.created,
  );
  return isAnswered ? "arrived" : "unanswered";
}

/** Agent and model of the session, taken from its newest message. */
function agentAndModelOf(messages: HostMessages) {
  const user = messages.findLast(({ info }) => info.role === "user")?.info;
  if (user?.role === "user") {
    const { providerID, modelID, variant } = user.model;
    return { agent: user.agent, model: { providerID, modelID }, ...(variant !== undefined && { variant }) };
  }
  // In a long turn the user's message is older than the messages read here.
  const answer = messages.findLast(({ info }) => info.role === "assistant" && info.summary !== true)?.info;
  if (answer?.role !== "assistant") return {};
  const { agent, providerID, modelID, variant } = answer;
  return { agent, model: { providerID, modelID }, ...(variant !== undefined && { variant }) };
}
