import { describe, expect, test } from "bun:test";
import { NO_TOKENS } from "../../../src/core/tokens.ts";
import {
  decideResumption,
  decideTurn,
  type Transcript,
  type TranscriptMessage,
  type TurnFacts,
  textsOf,
} from "../../../src/core/turn-outcome.ts";

const PROMPTED_AT = 1_000_000;
const context: TurnFacts = { messageID: "msg_5", promptedAt: PROMPTED_AT, errorSeen: null, idleSince: null };

const answer = (more: Partial<TranscriptMessage> = {}): TranscriptMessage => ({
  id: "msg_6",
  role: "assistant",
  completed: true,
  finish: "stop",
  error: null,
  text: "42",
  isSummary: false,
  hasActed: false,
  ...more,
});
const open = answer({ completed: false, finish: null, text: null });
const read = (activity: Transcript["activity"], ...messages: TranscriptMessage[]): Transcript => ({
  activity,
  messages,
  tokens: NO_TOKENS,
  usd: 0,
});
/** Decides `idleMs` after the session was first seen idle, `sinceMs` after the prompt. */
const decide = (transcript: Transcript, idleMs: number, more: Partial<TurnFacts> = {}, sinceMs = 1_000) => {
  const now = PROMPTED_AT + sinceMs;
  return decideTurn(transcript, { ...context, idleSince: now - idleMs, ...more }, now);
};
const failure = (decision: ReturnType<typeof decideTurn>) => {
  if (decision.kind !== "failed") throw new Error(`not failed: ${JSON.stringify(decision)}`);
  return decision.failure;
};

describe("a running turn", () => {
  for (const activity of ["busy", "retrying"] as const) {
    test(`has a session that is ${activity}, whatever its messages say`, () => {
      expect(decide(read(activity, answer()), 9_999, { errorSeen: "boom" }, 99_999)).toEqual({ kind: "going_on" });
      expect(decide(read(activity), 9_999, {}, 99_999)).toEqual({ kind: "going_on" });
    });
  }
});

describe("a turn whose provider never ends its answers", () => {
  const answers = (...given: Partial<TranscriptMessage>[]) =>
    read("busy", ...given.map((more, index) => answer({ id: `msg_${60 + index}`, finish: "unknown", ...more })));
  const repeated = (count: number, more: Partial<TranscriptMessage>) => Array.from({ length: count }, () => more);

  test.each<[string, Partial<TranscriptMessage>, string]>([
    ["nothing", { text: null }, "no text"],
    ["half an answer", { text: "The answer is " }, '"The answer is"'],
    ["a page", { finish: "tool-calls", text: "<html>login</html>" }, '"<html>login</html>"'],
    ["no reason at all", { finish: null, text: null }, "no text"],
  ])("fails after five answers of %s", (_what, more, said) => {
    expect(decide(answers(...repeated(4, more), open), 0)).toEqual({ kind: "going_on" });
    const end = failure(decide(answers(...repeated(5, more), open), 0));
    expect(end).toMatchObject({ code: "model_error", retryable: true });
    expect(end.message).toContain(
      `5 times in a row without ending its answer and without a tool call, the last time with ${said}.`,
    );
  });

  test.each<[string, Partial<TranscriptMessage>]>([
    ["a tool call", { finish: "tool-calls", hasActed: true }],
    ["a summary", { isSummary: true }],
    ["an end", { finish: "stop" }],
  ])("goes on where one of the last five was %s", (_what, one) => {
    const fruitless = { text: null };
    expect(decide(answers(...repeated(4, fruitless), one), 0)).toEqual({ kind: "going_on" });
    expect(decide(answers(...repeated(4, fruitless), one, ...repeated(4, fruitless)), 0)).toEqual({ kind: "going_on" });
  });
});

describe("a turn in whose middle the user had the conversation summarized", () => {
  const summary = answer({ id: "msg_8", text: "# Goal", isSummary: true });
  const half = answer({ finish: "tool-calls", text: "I begin.", hasActed: true });

  test("is to go on, once the host does not by itself", () => {
    expect(decide(read("idle", half, summary), 2_999).kind).toBe("unsettled");
    expect(decide(read("idle", half, summary), 3_000)).toEqual({ kind: "summarized" });
    expect(decide(read("idle", summary), 3_000)).toEqual({ kind: "summarized" });
  });

  test("is done where it had its answer before", () => {
    expect(decide(read("idle", answer({ finish: "length" }), summary), 0)).toEqual({ kind: "done", cut: true });
  });

  test("has failed where the summary has", () => {
    const error = { name: "APIError", message: "boom", retryable: true };
    expect(failure(decide(read("idle", half, { ...summary, error }), 200)).message).toBe("APIError: boom");
  });
});

describe("a completed turn", () => {
  test("is done, whatever it said", () => {
    expect(decide(read("idle", answer()), 0)).toEqual({ kind: "done", cut: false });
    expect(decide(read("idle", answer({ text: null })), 0)).toEqual({ kind: "done", cut: false });
  });

  test("said what its own messages say: not the user's, not earlier ones, not a summary of the conversation", () => {
    const messages = [
      answer({ id: "msg_4", text: "of the former turn" }),
      answer({ id: "msg_5", role: "user", text: "the prompt" }),
      answer({ id: "msg_6", finish: "tool-calls", text: "first" }),
      answer({ id: "msg_7", isSummary: true, text: "# Goal" }),
      answer({ id: "msg_8", role: "user", text: "go on" }),
      answer({ id: "msg_9", text: null }),
    ];
    expect(textsOf(read("idle", ...messages), "msg_5")).toEqual(["first", null]);
  });

  test("is marked as cut at the output limit", () => {
    expect(decide(read("idle", answer({ finish: "length" })), 0)).toMatchObject({ kind: "done", cut: true });
  });

  test("is judged by its last message, even after messages of a compaction", () => {
    const messages = [
      answer({ id: "msg_6", finish: "tool-calls" }),
      answer({ id: "msg_7", role: "user", text: "go on" }),
    ];
    expect(decide(read("idle", ...messages, answer({ id: "msg_8", finish: "length" })), 0)).toMatchObject({
      cut: true,
    });
  });

  test("ignores messages up to its own prompt", () => {
    const before = answer({ id: "msg_4", text: "of the former turn" });
    const own = answer({ id: "msg_5", role: "user", text: "the prompt" });
    expect(decide(read("idle", before, own), 200).kind).toBe("unsettled");
  });

  test("may have seen an error event: a compaction publishes one and goes on", () => {
    expect(decide(read("idle", answer()), 0, { errorSeen: "context overflow" }).kind).toBe("done");
  });
});

describe("a failed turn", () => {
  test("is unsettled at the first idle event, before its message is stored", () => {
    expect(decide(read("idle", open), 0, { errorSeen: "500" })).toEqual({ kind: "unsettled", recheckMs: 150 });
  });

  test("stays unsettled until its model loop is at rest: a prompt before that would join the old turn", () => {
    const saved = answer({ error: { name: "APIError", message: "500", retryable: true } });
    expect(decide(read("idle", saved), 10).kind).toBe("unsettled");
    expect(decide(read("idle", saved), 150).kind).toBe("failed");
  });

  test("carries the host's error, and whether it is retryable", () => {
    const error = { name: "APIError", message: "overloaded", retryable: true };
    const expected = { code: "model_error" as const, message: "APIError: overloaded", retryable: true };
    expect(failure(decide(read("idle", answer({ error, finish: null })), 200))).toEqual(expected);
  });

  test("has failed even if it finished with stop", () => {
    const error = { name: "UnknownError", message: "half", retryable: null };
    expect(failure(decide(read("idle", answer({ error })), 200))).toMatchObject({
      code: "model_error",
      retryable: null,
    });
  });

  test("that was aborted by someone else is cancelled and retryable", () => {
    const error = { name: "MessageAbortedError", message: "aborted", retryable: null };
    expect(failure(decide(read("idle", answer({ error })), 200))).toMatchObject({ code: "cancelled", retryable: true });
  });

  test("has a message that stays incomplete: its model loop is dead", () => {
    expect(decide(read("idle", open), 2_999).kind).toBe("unsettled");
    expect(failure(decide(read("idle", open), 3_000)).message).toContain("broke off without an error");
    expect(failure(decide(read("idle", open), 3_000, { errorSeen: "boom" })).message).toContain("broke off: boom");
  });

  for (const finish of ["tool-calls", "unknown"]) {
    test(`is at rest after ${finish}`, () => {
      expect(decide(read("idle", answer({ finish })), 2_999).kind).toBe("unsettled");
      expect(failure(decide(read("idle", answer({ finish })), 3_000))).toMatchObject({ code: "model_error" });
    });
  }
});

describe("a turn without an answer", () => {
  test("is unsettled until its model loop has had time to start", () => {
    expect(decide(read("idle"), 14_999, {}, 14_999)).toEqual({ kind: "unsettled", recheckMs: 150 });
  });

  test("that never starts has failed and is retryable", () => {
    expect(failure(decide(read("idle"), 15_000, {}, 15_000))).toMatchObject({ code: "prompt_failed", retryable: true });
  });

  test("fails a moment after an error event, which names an unknown agent or model", () => {
    const errorSeen = 'Agent not found: "x"';
    expect(decide(read("idle"), 149, { errorSeen }).kind).toBe("unsettled");
    expect(failure(decide(read("idle"), 150, { errorSeen }))).toEqual({
      code: "prompt_failed",
      message: errorSeen,
      retryable: false,
    });
  });

  test("is not judged before its session was seen idle", () => {
    expect(decideTurn(read("idle"), { ...context, errorSeen: "x" }, PROMPTED_AT + 5).kind).toBe("unsettled");
  });
});

describe("a turn that a dead process left", () => {
  const prompted: TranscriptMessage = { ...answer(), id: "msg_5", role: "user", text: "do it" };
  const resume = (...messages: TranscriptMessage[]) => decideResumption(read("idle", ...messages), "msg_5");

  test("has ended if its answer is complete", () => {
    expect(resume(prompted, answer())).toEqual({ kind: "done", cut: false });
  });

  const broken: [string, TranscriptMessage[]][] = [
    ["was not answered", [prompted]],
    ["was being answered", [prompted, open]],
    ["was using a tool", [prompted, answer({ finish: "tool-calls" })]],
    [
      "was stopped with its process",
      [prompted, answer({ error: { name: "MessageAbortedError", message: "x", retryable: null } })],
    ],
    ["was summarized before its answer", [prompted, answer({ id: "msg_8", text: "# Goal", isSummary: true })]],
    ["is so long that its prompt was not read", [answer({ finish: "tool-calls" }), open]],
  ];
  for (const [how, messages] of broken) {
    test(`is continued if it ${how}`, () => {
      expect(resume(...messages).kind).toBe("go_on");
    });
  }

  test("is prompted again if its prompt never arrived", () => {
    expect(resume().kind).toBe("repeat");
  });

  test("is prompted again if its process died before the text of its prompt was stored", () => {
    expect(resume({ ...prompted, text: null }).kind).toBe("repeat");
  });
});
