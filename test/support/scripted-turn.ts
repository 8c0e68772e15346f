import type { PromptRequest, SessionEvent } from "../../src/core/ports.ts";
import type { Tokens } from "../../src/core/tokens.ts";
import type { TranscriptMessage } from "../../src/core/turn-outcome.ts";
import type { Clock } from "../../src/shared/clock.ts";

/** A child session as OpenCode stores it. */
export interface ScriptedSession {
  readonly id: string;
  readonly messages: TranscriptMessage[];
  activity: "idle" | "busy" | "retrying";
  /** The model loop; null when at rest. `activity` becomes idle shortly before that. */
  loop: { stop(): void; onMessage?(): void } | null;
  /** What the model does in its turn. */
  script: string;
  tokens: Tokens;
}

interface TurnDeps {
  readonly clock: Clock;
  readonly newMessageID: () => string;
  readonly emit: (event: SessionEvent) => void;
}

/** From accepting a prompt to the first status. */
const START_MS = 3;
/** Between two steps of a turn's end. */
const STEP_MS = 5;

const OPEN: TranscriptMessage = {
  id: "",
  role: "assistant",
  completed: false,
  finish: null,
  error: null,
  text: null,
  isSummary: false,
  hasActed: false,
};

/** Adds a message to the session, or replaces the one that has its id. */
export function saveMessage({ messages }: ScriptedSession, message: TranscriptMessage): void {
  const at = messages.findIndex(({ id }) => id === message.id);
  if (at < 0) messages.push(message);
  else messages[at] = message;
}

/** Starts the turn that the session's script describes. The scripts are listed at `ScriptedSessions`. */
export function startTurn(session: ScriptedSession, prompt: PromptRequest, { clock, newMessageID, emit }: TurnDeps) {
  const sessionID = session.id;
  let answer = OPEN;
  let cancelTimer = () => {};
  const after = (ms: number, step: () => void) => {
    cancelTimer = clock.after(ms, step);
  };
  const publishError = (message: string) => emit({ kind: "error", sessionID, message });

  function becomeBusy(): void {
    session.activity = "busy";
    emit({ kind: "progress", sessionID });
  }
  function becomeIdle(): void {
    session.activity = "idle";
    emit({ kind: "touched", sessionID });
  }
  function comeToRest(): void {
    session.loop = null;
    becomeIdle();
  }
  /** Opens the answer, then calls `next`. */
  function begin(next: () => void): void {
    after(START_MS, () => {
      becomeBusy();
      answer = { ...OPEN, id: newMessageID() };
      saveMessage(session, answer);
      const { input, output, cached, reasoning } = session.tokens;
      session.tokens = { input: input + 10, output: output + 5, cached: cached + 20, reasoning: reasoning + 1 };
      next();
    });
  }
  /** Says all texts but the last in messages of their own, and leaves that to `end`. */
  function say([text = "", ...more]: readonly string[], end: (text: string) => void): void {
    after(STEP_MS, () => {
      if (more.length === 0) return end(text);
      saveMessage(session, { ...answer, completed: true, finish: "tool-calls", text, hasActed: true });
      answer = { ...OPEN, id: newMessageID() };
      saveMessage(session, answer);
      emit({ kind: "step", sessionID });
      say(more, end);
    });
  }
  /** Answers again and again, because no answer says that it is complete. */
  function sayForEver(text: string): void {
    after(STEP_MS, () => {
      saveMessage(session, { ...answer, completed: true, finish: "unknown", text });
      answer = { ...OPEN, id: newMessageID() };
      saveMessage(session, answer);
      emit({ kind: "step", sessionID });
      sayForEver(text);
    });
  }
  function finish(text: string, finish = "stop"): void {
    saveMessage(session, { ...answer, completed: true, finish, text });
    emit({ kind: "step", sessionID, isLast: finish === "stop" });
    comeToRest();
  }
  /** Fails in the order observed in OpenCode: error, idle, message saved, idle again. */
  function fail(name: string, end: Partial<TranscriptMessage> = {}): void {
    const message = `${name} happened`;
    publishError(message);
    becomeIdle();
    after(STEP_MS, () => {
      const error = { name, message, retryable: name === "APIError" ? true : null };
      if (answer.id !== "") saveMessage(session, { ...answer, completed: true, error, ...end });
      after(STEP_MS, comeToRest);
    });
  }

  /** Each script is called with the rest of its line. */
  const scripts: Record<string, (rest: string) => void> = {
    say: (text) => begin(() => after(STEP_MS, () => finish(text))),
    steps: (rest) => begin(() => say(rest.split("|"), finish)),
    "steps then fail": (rest) => begin(() => say([...rest.split("|"), ""], () => fail("APIError"))),
    "say for ever": (text) => begin(() => sayForEver(text)),
    "steps then summary": (rest) =>
      begin(() =>
        say([...rest.split("|"), ""], () => {
          answer = { ...answer, isSummary: true };
          finish("# Goal");
        }),
      ),
    "steps then hang": (rest) => begin(() => say([...rest.split("|"), ""], () => {})),
    cut: (text) => begin(() => after(STEP_MS, () => finish(text, "length"))),
    work(rest) {
      const [ms, text] = splitDuration(rest);
      begin(() => after(ms, () => finish(text)));
    },
    tool(rest) {
      const [ms, text] = splitDuration(rest);
      const publishTool = (running: boolean) =>
        emit({ kind: "tool", sessionID, call: answer.id, tool: "sandbox_exec", running });
      begin(() => {
        publishTool(true);
        after(ms, () => {
          publishTool(false);
          after(STEP_MS, () => finish(text));
        });
      });
    },
    "until messaged"(text) {
      loop.onMessage = () => after(STEP_MS, () => finish(text));
      begin(() => {});
    },
    hang: () => begin(() => {}),
    never() {
      session.loop = null;
    },
    broken: () => begin(() => after(STEP_MS, comeToRest)),
    "stop at tools": () => begin(() => after(STEP_MS, () => finish("and now", "tool-calls"))),
    fail: (name) => begin(() => after(STEP_MS, () => fail(name))),
    "failed stop": () => begin(() => after(STEP_MS, () => fail("UnknownError", { finish: "stop", text: "half" }))),
    "unknown agent"() {
      session.loop = null;
      const publish = () => publishError(`Agent not found: "${prompt.agent}"`);
      after(START_MS, () => {
        publish();
        after(1, publish);
      });
    },
    "unknown model": () =>
      after(START_MS, () => {
        becomeBusy();
        after(STEP_MS, () => {
          publishError(`Model not found: ${prompt.model}`);
          after(1, comeToRest);
        });
      }),
  };

  const [line = ""] = session.script.split("\n");
  const name = Object.keys(scripts).findLast((key) => line === key || line.startsWith(`${key} `));
  const play = name === undefined ? undefined : scripts[name];
  if (name === undefined || !play) throw new Error(`unknown script: ${line}`);
  const loop: NonNullable<ScriptedSession["loop"]> = {
    stop() {
      cancelTimer();
      fail("MessageAbortedError");
    },
  };
  session.loop = loop;
  play(line.slice(name.length + 1));
}

/** "4000 ok" → [4000, "ok"] */
function splitDuration(rest: string): [ms: number, text: string] {
  const [ms = "", ...words] = rest.split(" ");
  return [Number(ms), words.join(" ")];
}
