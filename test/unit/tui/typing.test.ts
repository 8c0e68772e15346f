import { expect, test } from "bun:test";
import { registerTyping } from "../../../src/tui/typing.ts";
import type { Ui } from "../../../src/tui/ui.ts";
import { typingCommand, typingIn } from "../../../src/views/typing.ts";
import { createFakeClock } from "../../support/fake-clock.ts";

test("typing in a session is told once a minute: no shortcuts, no lists, no start screen", async () => {
  const clock = createFakeClock();
  const told: string[] = [];
  let press = (_: { event: object }) => {};
  const renderer: { currentFocusedEditor: object | null } = { currentFocusedEditor: {} };
  const route: { current: object } = { current: { name: "session", params: { sessionID: "ses_1" } } };
  const publish = async ({ body }: { body: { properties: { command: string } } }) => told.push(body.properties.command);
  const keymap = {
    intercept(_: string, hear: typeof press) {
      press = hear;
    },
  };
  registerTyping({ api: { keymap, renderer, route, client: { tui: { publish } } }, clock } as unknown as Ui);
  const type = (name: string, more: object = {}) => press({ event: { name, ctrl: false, ...more } });
  type("a");
  type("b");
  type("return");
  type("c", { ctrl: true });
  expect(told).toEqual([typingCommand("ses_1")]);
  await clock.advance(60_000);
  renderer.currentFocusedEditor = null;
  type("j");
  renderer.currentFocusedEditor = {};
  route.current = { name: "home" };
  type("a");
  expect(told.length).toBe(1);
  route.current = { name: "session", params: { sessionID: "ses_2" } };
  type("a");
  expect(told.slice(1)).toEqual([typingCommand("ses_2")]);
});

test("only a session's id is taken from such a command", () => {
  expect(typingIn(typingCommand("ses_1a-B"))).toBe("ses_1a-B");
  for (const other of [
    "ses_1",
    "parallel-agents:typing:",
    "parallel-agents:typing:../x",
    "session.list",
    "parallel-agents:typing:ses_\n",
  ])
    expect(typingIn(other)).toBeNull();
});
