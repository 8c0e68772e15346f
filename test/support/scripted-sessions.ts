import type { ChildSessionRequest, ChildSessions, PromptRequest, SessionEvent } from "../../src/jobs/core/ports.ts";
import type { TranscriptMessage } from "../../src/jobs/core/turn-outcome.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { PluginError } from "../../src/shared/error-code.ts";
import { createHostIds } from "../../src/shared/ids.ts";

/**
 * Child sessions as OpenCode keeps them, with the orders of status, error and saved message that were observed there. The
 * first line of a prompt says what the model does:
 *
 *     say TEXT               answers
 *     work MS TEXT           answers after MS milliseconds
 *     tool MS TEXT           runs a tool for MS milliseconds, then answers
 *     until messaged TEXT    works until a message is added to its turn, then answers
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
  /** Script that the model follows when it is prompted to continue after a stall. */
  afterStall: string;
  /** USD that each answer costs. */
  usdPerAnswer: number;
  /** While true, no event reaches a listener. */
  dropsEvents: boolean;
  /** Called before each call; may reject. */
  onCall: (name: "create" | "prompt" | "read" | "abort", sessionID: string) => void | Promise<void>;
  emit(event: SessionEvent): void;
  /** Sessions whose loop is running. */
  running(): readonly string[];
  delete(sessionID: string): void;
}

interface Session {
  readonly id: string;
  readonly messages: TranscriptMessage[];
  activity: "idle" | "busy" | "retrying";
  /** The model loop; null when at rest. `activity` becomes idle shortly before that. */
  loop: { stop(): void; onMessage?(): void } | null;
  script: string;
  tokens: { input: number; output: number };
}

/** From accepting a prompt to the first status. */
const START_MS = 3;
/** Between two steps of a turn's end. */
const STEP_MS = 5;

export function createScriptedSessions(clock: Clock): ScriptedSessions {
  const ids = createHostIds(() => clock.now());
  const sessions = new Map<string, Session>();
  const listeners = new Set<(event: SessionEvent) => void>();
  const created: (ChildSessionRequest & { id: string })[] = [];
  const prompts: PromptRequest[] = [];
  const lostPrompts: PromptRequest[] = [];
  const aborted: string[] = [];
  const addedMessages: PromptRequest[] = [];

  const find = (id: string): Session => {
    const session = sessions.get(id);
    if (!session) throw new PluginError("prompt_failed", `Could not read the session ${id}: NotFoundError`);
    return session;
  };
  const save = (session: Session, message: TranscriptMessage) => {
    const at = session.messages.findIndex((one) => one.id === message.id);
    if (at < 0) session.messages.push(message);
    else session.messages[at] = message;
  };
  const publish = (session: Session, kind: "touched" | "progress") => fake.emit({ kind, sessionID: session.id });

  function start(session: Session, prompt: PromptRequest): void {
    if (prompt.text.startsWith("You were stopped because")) session.script = fake.afterStall;
    // The plugin may put paragraphs of its own before the script.
    else if (!prompt.text.startsWith("OpenCode ended")) session.script = prompt.text.split("\n\n").at(-1) ?? "";
    const [line = ""] = session.script.split("\n");
    const [verb = "", ...words] = line.split(" ");
    const rest = words.join(" ");
    let cancel = () => {};
    const after = (ms: number, step: () => void) => {
      cancel = clock.after(ms, step);
    };
    const comeToRest = () => {
      session.activity = "idle";
      session.loop = null;
      publish(session, "touched");
    };
    const open: TranscriptMessage = {
      id: "",
      role: "assistant",
      completed: false,
      finish: null,
      error: null,
      text: null,
    };
    let answer = open;
    const begin = (then: () => void) =>
      after(START_MS, () => {
        session.activity = "busy";
        publish(session, "progress");
        answer = { ...open, id: ids("msg") };
        save(session, answer);
        session.tokens = { input: session.tokens.input + 10, output: session.tokens.output + 5 };
        then();
      });
    const finish = (end: Partial<TranscriptMessage>) => {
      save(session, { ...answer, completed: true, ...end });
      comeToRest();
    };
    // error → idle → message saved → idle again
    const breakOff = (name: string, end: Partial<TranscriptMessage> = {}) => {
      const message = `${name} happened`;
      fake.emit({ kind: "error", sessionID: session.id, message });
      session.activity = "idle";
      publish(session, "touched");
      after(STEP_MS, () => {
        const error = { name, message, retryable: name === "APIError" ? true : null };
        if (answer.id !== "") save(session, { ...answer, completed: true, error, ...end });
        after(STEP_MS, comeToRest);
      });
    };
    const unanswered = (then: () => void) => after(START_MS, then);
    session.loop = {
      stop() {
        cancel();
        breakOff("MessageAbortedError");
      },
    };
    if (verb === "say") begin(() => after(STEP_MS, () => finish({ finish: "stop", text: rest })));
    else if (verb === "cut") begin(() => after(STEP_MS, () => finish({ finish: "length", text: rest })));
    else if (verb === "work") {
      begin(() => after(Number(words[0]), () => finish({ finish: "stop", text: words.slice(1).join(" ") })));
    } else if (verb === "fail") begin(() => after(STEP_MS, () => breakOff(rest)));
    else if (line === "failed stop")
      begin(() => after(STEP_MS, () => breakOff("UnknownError", { finish: "stop", text: "half" })));
    else if (line === "stop at tools")
      begin(() => after(STEP_MS, () => finish({ finish: "tool-calls", text: "and now" })));
    else if (line === "broken") begin(() => after(STEP_MS, comeToRest));
    else if (line === "hang") begin(() => {});
    else if (line.startsWith("until messaged")) {
      session.loop.onMessage = () => after(STEP_MS, () => finish({ finish: "stop", text: words.slice(1).join(" ") }));
      begin(() => {});
    } else if (verb === "tool") {
      const tool = (running: boolean) =>
        fake.emit({ kind: "tool", sessionID: session.id, call: answer.id, tool: "sandbox_exec", running });
      begin(() => {
        tool(true);
        after(Number(words[0]), () => {
          tool(false);
          after(STEP_MS, () => finish({ finish: "stop", text: words.slice(1).join(" ") }));
        });
      });
    } else if (line === "never") session.loop = null;
    else if (line === "unknown agent") {
      const error = () =>
        fake.emit({ kind: "error", sessionID: session.id, message: `Agent not found: "${prompt.agent}"` });
      session.loop = null;
      unanswered(() => {
        error();
        after(1, error);
      });
    } else if (line === "unknown model") {
      unanswered(() => {
        session.activity = "busy";
        publish(session, "progress");
        after(STEP_MS, () => {
          fake.emit({ kind: "error", sessionID: session.id, message: `Model not found: ${prompt.model}` });
          after(1, comeToRest);
        });
      });
    } else throw new Error(`unknown script: ${line}`);
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
      sessions.set(id, { id, messages: [], activity: "idle", loop: null, script: "", tokens: { input: 0, output: 0 } });
      return id;
    },
    async prompt(prompt) {
      await fake.onCall("prompt", prompt.sessionID);
      const session = find(prompt.sessionID);
      if (prompt.text.startsWith("refuse")) throw new PluginError("prompt_failed", "Could not prompt: bad request");
      if (session.messages.some(({ id }) => id >= prompt.messageID)) throw new Error(`${prompt.messageID} is not new`);
      prompts.push(prompt);
      save(session, {
        id: prompt.messageID,
        role: "user",
        completed: true,
        finish: null,
        error: null,
        text: prompt.text,
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
    async read(sessionID, fromMessageID) {
      await fake.onCall("read", sessionID);
      const { activity, messages, tokens } = find(sessionID);
      const newer = messages.filter(({ id }) => id >= fromMessageID).slice(-10);
      return { activity, messages: newer, tokens, usd: (tokens.output / 5) * fake.usdPerAnswer };
    },
    async abort(sessionID) {
      await fake.onCall("abort", sessionID);
      const session = find(sessionID);
      aborted.push(sessionID);
      if (session.loop) session.loop.stop();
      else publish(session, "touched"); // an idle session publishes idle too
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
