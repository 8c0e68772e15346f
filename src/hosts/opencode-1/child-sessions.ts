import type { ApiError, ToolPart } from "@opencode-ai/sdk/v2/client";
import { type Closed, closedError } from "../../core/closed-session.ts";
import type { ChildSessions, PromptRequest, SessionEvent } from "../../core/ports.ts";
import { NO_TOKENS, type Tokens } from "../../core/tokens.ts";
import type { Transcript, TranscriptMessage } from "../../core/turn-outcome.ts";
import type { Refusal } from "../../core/usage-limit.ts";
import type { Emitter } from "../../shared/emitter.ts";
import { oneLine } from "../../shared/plain-text.ts";
import { JOB_MARK } from "../shared/job-sessions.ts";
import { NO_IMAGES, readImages } from "./attached-images.ts";
import { describe, type HostClient, unwrap } from "./host-client.ts";
import type { JobInstances } from "./job-instance.ts";
import { jobSessionRules } from "./worker-agent.ts";

/** Messages. The last assistant message decides; a few more are read because compaction adds its own. */
const READ_LIMIT = 10;
/** When a turn has ended, the model may have given its answer long before its last message. */
const READ_ALL_LIMIT = 500;

export interface SessionListeners {
  /** A session is prompted or read. */
  onFollowed(): void;
  onCreated?(sessionID: string): void;
  /** A session is about to be made for the job. */
  onCreating?(jobID: string): void;
}

/**
 * Child sessions of OpenCode 1 behind the port of the domain.
 * @param requireSupported rejects where the version of OpenCode cannot be trusted to isolate a job
 */
export function createChildSessions(
  instances: Pick<JobInstances, "forNew" | "of" | "all" | "learn">,
  events: Emitter<SessionEvent>,
  requireSupported: () => Promise<void>,
  listeners: SessionListeners,
): ChildSessions {
  /** Sessions that were made here and not prompted yet: there is nothing to undo in them, and their deletion would be heard of. */
  const unused = new Set<string>();
  events.on(({ kind, sessionID }) => {
    if (kind === "deleted") unused.delete(sessionID);
  });
  async function closed(sessionID: string): Promise<Closed | null> {
    const [client] = instances.all(); // any of them reads all sessions
    const asked = client.session.get({ sessionID });
    try {
      const session = await unwrap(asked, "prompt_failed", `read the session ${sessionID}`);
      return session.revert === undefined ? null : "undone";
    } catch (error) {
      if ((await asked.catch(() => null))?.response?.status === 404) return "deleted";
      throw error;
    }
  }
  async function send({
    sessionID,
    messageID,
    agent,
    model,
    variant = null,
    text,
    images = null,
  }: PromptRequest): Promise<void> {
    listeners.onFollowed();
    const client = await instances.of(sessionID);
    const attached = images === null ? NO_IMAGES : await readImages(client, images);
    // Never `tools`: it would replace the session's rules. Never a file by its path: OpenCode would read it from this machine.
    const sent = client.session.promptAsync({
      sessionID,
      messageID,
      agent,
      ...(model !== null && { model: toModelRef(model) }),
      ...(variant !== null && { variant }),
      // With a fixed part id too, OpenCode takes a repeated prompt for the same one: nothing runs twice.
      parts: [
        { id: messageID.replace(/^msg/, "prt"), type: "text", text: attached.note + text },
        ...attached.images.map((image, index) => ({
          id: imagePartID(messageID, index),
          type: "file" as const,
          ...image,
        })),
      ],
    });
    await unwrap(sent, "prompt_failed", `prompt the session ${sessionID}`);
  }
  return {
    async create({ orchestrator, jobID, title, agent, forbidden }) {
      listeners.onCreating?.(jobID);
      await requireSupported();
      const client = await instances.forNew();
      const created = client.session.create({
        parentID: orchestrator,
        title: oneLine(title, 200),
        agent,
        metadata: { [JOB_MARK]: { job: jobID, orchestrator } },
        permission: jobSessionRules(forbidden),
      });
      const session = await unwrap(created, "session_create_failed", `create the child session of ${jobID}`);
      const { id } = session;
      instances.learn(session);
      unused.add(id);
      listeners.onCreated?.(id);
      return id;
    },
    async prompt(request) {
      const why = unused.delete(request.sessionID) ? null : await closed(request.sessionID);
      if (why) throw closedError(request.sessionID, why);
      await send(request);
    },
    tell: send, // a busy session reads a stored prompt at its next step
    async read(sessionID, fromMessageID, all = false): Promise<Transcript> {
      const limit = all ? READ_ALL_LIMIT : READ_LIMIT;
      listeners.onFollowed();
      const doing = `read the session ${sessionID}`;
      const client = await instances.of(sessionID);
      const [messages, session, statuses] = await Promise.all([
        unwrap(client.session.messages({ sessionID, limit }), "prompt_failed", doing),
        unwrap(client.session.get({ sessionID }), "prompt_failed", doing),
        unwrap(client.session.status(), "prompt_failed", doing),
      ]);
      const status = statuses[sessionID]?.type; // only busy and retrying sessions are listed
      return {
        activity: status === "retry" ? "retrying" : status === "busy" ? "busy" : "idle",
        messages: messages.filter(({ info }) => info.id >= fromMessageID).map(toTranscriptMessage),
        tokens: toTokens(session.tokens),
        usd: session.cost ?? 0,
      };
    },
    closed,
    async abort(sessionID) {
      const client = await instances.of(sessionID);
      await unwrap(client.session.abort({ sessionID }), "cancelled", `stop the session ${sessionID}`);
    },
    on: (listener) => events.on(listener),
  };
}

/** Fixed like the id of the text part, and never the same. */
const imagePartID = (messageID: string, index: number): string =>
  `${messageID.replace(/^msg/, "prt").slice(0, -2)}${messageID.at(-2) === "i" ? "j" : "i"}${index}`;

/** `provider/model` as OpenCode's prompts take it; a model's own name may contain slashes. */
export function toModelRef(model: string): { providerID: string; modelID: string } {
  const slash = model.indexOf("/");
  return { providerID: model.slice(0, slash), modelID: model.slice(slash + 1) };
}

type HostTokens = NonNullable<Awaited<ReturnType<HostClient["session"]["get"]>>["data"]>["tokens"];

/** The host counts cached tokens apart from the input, and reasoning apart from the output. */
const toTokens = (tokens: HostTokens): Tokens =>
  tokens === undefined
    ? NO_TOKENS
    : {
        input: tokens.input,
        output: tokens.output,
        cached: tokens.cache.read + tokens.cache.write,
        reasoning: tokens.reasoning,
      };

type HostMessages = NonNullable<Awaited<ReturnType<HostClient["session"]["messages"]>>["data"]>;

function toTranscriptMessage({ info, parts }: HostMessages[number]): TranscriptMessage {
  const texts = parts.flatMap((part) => (part.type === "text" && !part.synthetic && !part.ignored ? part.text : []));
  const text = texts.length === 0 ? null : texts.filter((one) => one.trim() !== "").join("\n\n");
  if (info.role === "user") {
    const { id } = info;
    return { id, role: "user", completed: true, finish: null, error: null, text, isSummary: false, hasActed: false };
  }
  const error = info.error;
  return {
    id: info.id,
    role: "assistant",
    completed: info.time.completed !== undefined,
    finish: info.finish ?? null,
    error: error
      ? {
          name: error.name,
          message: describe(error),
          retryable: "isRetryable" in error.data ? Boolean(error.data.isRetryable) : null,
          ...(error.name === "APIError" && { refusal: toRefusal(error.data) }),
        }
      : null,
    text,
    isSummary: info.summary === true,
    hasActed: parts.some((part) => part.type === "tool" && isCarriedOut(part.state, info.finish)),
  };
}

/** A call whose arguments never came whole is stored as one that failed, in a message without a reason. @source OpenCode 1.18.33 */
const isCarriedOut = ({ status }: ToolPart["state"], finish: string | undefined): boolean =>
  status === "completed" || (status === "error" && finish === "tool-calls");

const toRefusal = ({ message, statusCode, responseBody = "", responseHeaders = {} }: ApiError["data"]): Refusal => ({
  status: statusCode ?? null,
  text: `${message}\n${responseBody.slice(0, BODY_LIMIT)}`,
  headers: Object.fromEntries(Object.entries(responseHeaders).map(([name, value]) => [name.toLowerCase(), value])),
});

/** Characters. */
const BODY_LIMIT = 4_000;
