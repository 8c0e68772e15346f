import type { ChildSessionRequest, ChildSessions, PromptRequest, SessionEvent } from "../../src/core/ports.ts";
import { NO_TOKENS } from "../../src/core/tokens.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { PluginError } from "../../src/shared/error-code.ts";
import { createHostIds } from "../../src/shared/ids.ts";
import { type ScriptedSession, saveMessage, startTurn } from "./scripted-turn.ts";

/**
 * Child sessions as OpenCode keeps them, with the orders of status, error and saved message that were observed there. The
 * first line of a prompt says what the model does:
 *
 *     say TEXT               answers
 *     work MS TEXT           answers after MS milliseconds
 *     tool MS TEXT           runs a tool for MS milliseconds, then answers
 *     until messaged TEXT    works until a message is added to its turn, then answers
 *     steps TEXT|TEXT        answers in several messages, with tool calls between them
 *     steps then fail T|T    does the same, and then fails with a provider error
 *     steps then hang T|T    does the same, and then works until it is aborted
 *     steps then summary T|T does the same, and is then ended by a summary of the conversation
 *     say for ever TEXT      answers again and again, without ever saying that the answer is complete
 *     cut TEXT               answers, and reaches the output limit
 *     hang                   works until it is aborted
 *     never                  accepts the prompt and does not start
 *     refuse                 rejects the prompt
 *     broken                 ends with its message left open
 *     stop at tools          ends after a tool call
 *     fail NAME              fails with a provider error
 *     failed stop            fails although the message has finish "stop"
 *     unknown agent          publishes an error event, twice, and nothing else
 *     unknown model          publishes busy, error and idle, and saves no message
 *
 * Prompted to continue after a restart of OpenCode, it repeats its previous script.
 */
export interface ScriptedSessions extends ChildSessions {
  readonly created: readonly (ChildSessionRequest & { readonly id: string })[];
  readonly prompts: readonly PromptRequest[];
  /** Prompts that arrived while the loop was still running: the host stores them but never runs them. */
  readonly lostPrompts: readonly PromptRequest[];
  readonly aborted: readonly string[];
  /** Messages added to a running turn. */
  readonly addedMessages: readonly PromptRequest[];
  /** Script that the model follows when it is prompted to continue after a stall or a summary. */
  afterStall: string;
  /** USD that each answer costs. */
  usdPerAnswer: number;
  /** Sessions in which the user has undone messages. */
  readonly undone: Set<string>;
  /** While true, no event reaches a listener. */
  dropsEvents: boolean;
  /** Called before each call; may reject. */
  onCall: (name: "create" | "prompt" | "read" | "abort", sessionID: string) => void | Promise<void>;
  emit(event: SessionEvent): void;
  /** Sessions whose loop is running. */
  running(): readonly string[];
  delete(sessionID: string): void;
}

export function createScriptedSessions(clock: Clock): ScriptedSessions {
  const ids = createHostIds(() => clock.now());
  const sessions = new Map<string, ScriptedSession>();
  const listeners = new Set<(event: SessionEvent) => void>();
  const created: (ChildSessionRequest & { id: string })[] = [];
  const prompts: PromptRequest[] = [];
  const lostPrompts: PromptRequest[] = [];
  const aborted: string[] = [];
  const addedMessages: PromptRequest[] = [];

  const find = (id: string): ScriptedSession => {
    const session = sessions.get(id);
    if (!session) throw new PluginError("prompt_failed", `Could not read the session ${id}: NotFoundError`);
    return session;
  };

  function start(session: ScriptedSession, prompt: PromptRequest): void {
    if (/^You were stopped because|^The user had this conversation/.test(prompt.text)) session.script = fake.afterStall;
    // The plugin may put paragraphs of its own before the script.
    else if (!/^OpenCode ended|^\[parallel agents\] Your sandbox was lost/.test(prompt.text))
      session.script = prompt.text.split("\n\n").at(-1) ?? "";
    startTurn(session, prompt, { clock, newMessageID: () => ids("msg"), emit: fake.emit });
  }

  const fake: ScriptedSessions = {
    created,
    prompts,
    lostPrompts,
    aborted,
    addedMessages,
    afterStall: "hang",
    usdPerAnswer: 0.005,
    dropsEvents: false,
    undone: new Set(),
    closed: async (id) => (!sessions.has(id) ? "deleted" : fake.undone.has(id) ? "undone" : null),
    onCall: () => {},
    emit(event) {
      if (!fake.dropsEvents) for (const listener of [...listeners]) listener(event);
    },
    running: () => [...sessions.values()].filter(({ loop }) => loop).map(({ id }) => id),
    delete(id) {
      find(id).loop?.stop();
      sessions.delete(id);
      fake.emit({ kind: "deleted", sessionID: id });
    },
    async create(request) {
      await fake.onCall("create", "");
      const id = `ses_${sessions.size + 1}`;
      created.push({ ...request, id });
      sessions.set(id, { id, messages: [], activity: "idle", loop: null, script: "", tokens: NO_TOKENS });
      return id;
    },
    async prompt(prompt) {
      await fake.onCall("prompt", prompt.sessionID);
      const session = find(prompt.sessionID);
      if (prompt.text.startsWith("refuse")) throw new PluginError("prompt_failed", "Could not prompt: bad request");
      if (session.messages.some(({ id }) => id >= prompt.messageID)) throw new Error(`${prompt.messageID} is not new`);
      prompts.push(prompt);
      saveMessage(session, {
        id: prompt.messageID,
        role: "user",
        completed: true,
        finish: null,
        error: null,
        text: prompt.text,
        isSummary: false,
        hasActed: false,
      });
      if (session.loop) lostPrompts.push(prompt);
      else start(session, prompt);
    },
    async tell(request) {
      await fake.onCall("prompt", request.sessionID);
      const session = find(request.sessionID);
      if (!session.loop) throw new Error(`${request.sessionID} is at rest`);
      addedMessages.push(request);
      session.loop.onMessage?.();
    },
    async read(sessionID, fromMessageID, all = false) {
      await fake.onCall("read", sessionID);
      const { activity, messages, tokens } = find(sessionID);
      const newer = messages.filter(({ id }) => id >= fromMessageID).slice(all ? 0 : -10);
      return { activity, messages: newer, tokens, usd: (tokens.output / 5) * fake.usdPerAnswer };
    },
    async abort(sessionID) {
      await fake.onCall("abort", sessionID);
      const session = find(sessionID);
      aborted.push(sessionID);
      if (session.loop) session.loop.stop();
      else fake.emit({ kind: "touched", sessionID }); // OpenCode publishes idle for an idle session too
    },
    on(listener) {
      listeners.add(listener);
      return () => {
        listeners.delete(listener);
      };
    },
  };
  return fake;
}
