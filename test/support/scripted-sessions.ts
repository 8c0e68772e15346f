import type { ChildSessionRequest, ChildSessions, PromptRequest, SessionEvent } from "../../src/jobs/core/ports.ts";
import type { TranscriptMessage } from "../../src/jobs/core/turn-outcome.ts";
import type { Clock } from "../../src/shared/clock.ts";
import { PluginError } from "../../src/shared/error-code.ts";
import { createHostIds } from "../../src/shared/ids.ts";

/**
 * Child sessions as OpenCode keeps them, with the orders of status, error and saved message that were seen there. What
 * the model does is the first line of the prompt:
 *
 *     say TEXT            answers                         hang                works until it is aborted
 *     work MS TEXT        answers after so long           never               is accepted and not started
 *     cut TEXT            answer at the output limit      broken              ends with its message left open
 *     fail NAME           provider error                  unknown agent       an error event, twice, and nothing else
 *     failed stop         error beside finish "stop"      unknown model       busy, error, idle, no message
 *     stop at tools       ends after a tool call          refuse              the prompt is rejected
 *     until told TEXT     works until it is told          tool MS TEXT        a tool runs so long, then answers
 *
 * Told that OpenCode has started again, it does what it was prompted to before.
 */
export interface ScriptedSessions extends ChildSessions {
  readonly created: readonly (ChildSessionRequest & { readonly id: string })[];
  readonly prompts: readonly PromptRequest[];
  /** Prompts that met a loop not yet at rest: the host stores them and runs nothing. */
  readonly lostPrompts: readonly PromptRequest[];
  readonly aborted: readonly string[];
  /** Words added to a turn under way. */
  readonly told: readonly PromptRequest[];
  /** What it does when it is asked to go on after a silence. */
  afterSilence: string;
  /** USD that each answer costs. */
  usdPerAnswer: number;
  /** No event reaches anybody. */
  deaf: boolean;
  /** Called before each call of the name; may reject. */
  onCall: (name: "create" | "prompt" | "read" | "abort", sessionID: string) => void | Promise<void>;
  emit(event: SessionEvent): void;
  /** Sessions whose loop runs. */
  running(): readonly string[];
  delete(sessionID: string): void;
}

interface Session {
  readonly id: string;
  readonly messages: TranscriptMessage[];
  activity: "idle" | "busy" | "retrying";
  /** The loop; null when at rest. Its status shows idle a little before. */
  loop: { stop(): void; tell?(): void } | null;
  script: string;
  tokens: { input: number; output: number };
}

/** From accepting a prompt to the first status; between the steps of an ending. */
const START_MS = 3;
const STEP_MS = 5;

export function createScriptedSessions(clock: Clock): ScriptedSessions {
  const ids = createHostIds(() => clock.now());
  const sessions = new Map<string, Session>();
  const listeners = new Set<(event: SessionEvent) => void>();
  const created: (ChildSessionRequest & { id: string })[] = [];
  const prompts: PromptRequest[] = [];
  const lostPrompts: PromptRequest[] = [];
  const aborted: string[] = [];
  const told: PromptRequest[] = [];

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
  const tell = (session: Session, kind: "touched" | "progress") => fake.emit({ kind, sessionID: session.id });

  function start(session: Session, prompt: PromptRequest): void {
    if (prompt.text.startsWith("You were stopped because")) session.script = fake.afterSilence;
    else if (!prompt.text.startsWith("OpenCode ended")) session.script = prompt.text.split("\n\n").at(-1) ?? ""; // after what goes before it
    const [line = ""] = session.script.split("\n");
    const [verb = "", ...words] = line.split(" ");
    const rest = words.join(" ");
    let cancel = () => {};
    const after = (ms: number, step: () => void) => {
      cancel = clock.after(ms, step);
    };
    const atRest = () => {
      session.activity = "idle";
      session.loop = null;
      tell(session, "touched");
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
        tell(session, "progress");
        answer = { ...open, id: ids("msg") };
        save(session, answer);
        session.tokens = { input: session.tokens.input + 10, output: session.tokens.output + 5 };
        then();
      });
    const finish = (end: Partial<TranscriptMessage>) => {
      save(session, { ...answer, completed: true, ...end });
      atRest();
    };
    // error → idle → message saved → idle again
    const breakOff = (name: string, end: Partial<TranscriptMessage> = {}) => {
      const message = `${name} happened`;
      fake.emit({ kind: "error", sessionID: session.id, message });
      session.activity = "idle";
      tell(session, "touched");
      after(STEP_MS, () => {
        const error = { name, message, retryable: name === "APIError" ? true : null };
        if (answer.id !== "") save(session, { ...answer, completed: true, error, ...end });
        after(STEP_MS, atRest);
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
    else if (line === "broken") begin(() => after(STEP_MS, atRest));
    else if (line === "hang") begin(() => {});
    else if (line.startsWith("until told")) {
      session.loop.tell = () => after(STEP_MS, () => finish({ finish: "stop", text: words.slice(1).join(" ") }));
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
        tell(session, "progress");
        after(STEP_MS, () => {
          fake.emit({ kind: "error", sessionID: session.id, message: `Model not found: ${prompt.model}` });
          after(1, atRest);
        });
      });
    } else throw new Error(`no such script: ${line}`);
  }

  const fake: ScriptedSessions = {
    created,
    prompts,
    lostPrompts,
    aborted,
    told,
    afterSilence: "hang",
    usdPerAnswer: 0.005,
    deaf: false,
    onCall: () => {},
    emit(event) {
      if (!fake.deaf) for (const listener of [...listeners]) listener(event);
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
      told.push(request);
      session.loop.tell?.();
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
      else tell(session, "touched"); // an idle session publishes idle too
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
