import { expect, test } from "bun:test";
import type { SessionEvent } from "../../../../src/core/ports.ts";
import { repeatKey } from "../../../../src/core/repeats.ts";
import { createSessionEvents } from "../../../../src/hosts/opencode-1/session-events.ts";

const sessionID = "ses_1";
const part = (more: object) => ["message.part.updated", { sessionID, part: more }] as const;
const status = (more: object) => ["session.status", { sessionID, status: more }] as const;

const CASES: [event: readonly [type: string, properties: Record<string, unknown>], meaning: SessionEvent | null][] = [
  [status({ type: "idle" }), { kind: "touched", sessionID }],
  [status({ type: "busy" }), { kind: "progress", sessionID }],
  [
    status({ type: "retry", attempt: 2, message: "busy, sk-secret1234567890", next: 99, action: "x" }),
    { kind: "retry", sessionID, attempt: 2, message: "busy, (hidden)", nextAt: 99 },
  ],
  [["session.idle", { sessionID }], { kind: "touched", sessionID }],
  [
    ["session.error", { sessionID, error: { name: "UnknownError", data: { message: "boom" } } }],
    { kind: "error", sessionID, message: "boom" },
  ],
  [
    ["session.error", { sessionID, error: { name: "UnknownError", data: {} } }],
    { kind: "error", sessionID, message: "UnknownError" },
  ],
  [
    [
      "session.error",
      { sessionID, error: { name: "APIError", data: { message: "no key a1b2c3d4e5f6a7b8", statusCode: 401 } } },
    ],
    { kind: "error", sessionID, message: "no key (hidden)" },
  ],
  [["session.error", { sessionID }], { kind: "error", sessionID, message: "OpenCode gave no reason" }],
  [["session.error", { error: { name: "UnknownError" } }], null],
  [["session.deleted", { sessionID, info: { id: sessionID } }], { kind: "deleted", sessionID }],
  [
    part({ id: "prt_1", type: "tool", tool: "sandbox_exec", state: { status: "running" } }),
    { kind: "tool", sessionID, call: "prt_1", tool: "sandbox_exec", running: true },
  ],
  [part({ type: "tool", tool: "sandbox_exec", state: { status: "pending" } }), { kind: "output", sessionID }],
  [
    part({
      id: "prt_1",
      type: "tool",
      tool: "sandbox_exec",
      state: { status: "completed", input: { command: "ls" }, output: "a.txt", time: { start: 10, end: 15 } },
    }),
    {
      kind: "tool",
      sessionID,
      call: "prt_1",
      tool: "sandbox_exec",
      running: false,
      ended: { key: repeatKey("sandbox_exec", { command: "ls" }, "a.txt"), tookMs: 5 },
    },
  ],
  [part({ type: "step-start" }), { kind: "output", sessionID }],
  [part({ type: "step-finish", reason: "tool-calls" }), { kind: "step", sessionID, isLast: false }],
  [part({ type: "step-finish", reason: "stop" }), { kind: "step", sessionID, isLast: true }],
  [part({ type: "text", text: "hi" }), { kind: "output", sessionID }],
  [["message.part.delta", { sessionID }], { kind: "output", sessionID }],
  [["session.updated", { sessionID }], { kind: "changed", sessionID }],
  [["server.connected", {}], null],
];

for (const [[type, properties], meaning] of CASES) {
  test(`${type} ${JSON.stringify(properties).slice(0, 70)} means ${meaning?.kind ?? "nothing"}`, () => {
    expect(createSessionEvents()({ type, properties })).toEqual(meaning);
  });
}

test("a session is said to have changed once for each undo, redo and move to the archive, not for what each step updates", () => {
  const toSessionEvent = createSessionEvents();
  const updated = (info: object) => toSessionEvent({ type: "session.updated", properties: { sessionID, info } })?.kind;
  const revert = { messageID: "msg_1" };
  expect([updated({}), updated({ title: "A title" }), updated({ title: "A title", cost: 1 })]).toEqual([
    "changed",
    undefined,
    undefined,
  ]);
  expect([updated({ revert }), updated({ revert }), updated({ revert: { ...revert, partID: "prt_1" } })]).toEqual([
    "changed",
    undefined,
    "changed",
  ]);
  expect([updated({}), updated({ time: { archived: 5 } }), updated({ time: { archived: 5 } })]).toEqual([
    "changed",
    "changed",
    undefined,
  ]);
  toSessionEvent({ type: "message.removed", properties: { sessionID, messageID: "msg_1" } });
  expect(updated({ time: { archived: 5 } })).toBe("changed");
});
