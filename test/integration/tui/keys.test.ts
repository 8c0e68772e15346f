import { expect, test } from "bun:test";
import type { TuiPluginApi } from "@opencode-ai/plugin/tui";
import { createRoot } from "solid-js";
import { registerJobKeys } from "../../../src/tui/job-keys.ts";
import { createLabSource } from "../../../src/tui/lab-source.ts";
import { registerLeaveQuestion } from "../../../src/tui/leave-question.ts";
import { createUi } from "../../../src/tui/ui.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { createSampleLab, START, sampleJob, sampleView } from "../../support/sample-lab.ts";

interface Dialog {
  readonly title: string;
  readonly message?: string;
  onConfirm(value?: string): void;
  onCancel(): void;
}

/** The keys of the terminal UI around a session, "top", with one job, whose conversation is "child". */
async function keys({ jobs = [sampleJob("a", { sessionID: "child" })], args = [] as string[] } = {}) {
  const lab = createSampleLab(sampleView("top", jobs as JobView[]));
  const host = {
    session: "top",
    typed: "",
    mode: "base",
    exitKeys: "ctrl+c,ctrl+d,<leader>q",
    asks: 0,
    dialog: null as Dialog | null,
    said: [] as string[],
    ran: [] as string[],
  };
  let whenClosed = () => {};
  let intercept: (input: object) => void = () => {};
  let layer: {
    enabled: () => boolean;
    commands: { name: string; run: () => void }[];
    bindings: { key: string; cmd: string }[];
  } | null = null;
  const dialogOf = (props: Dialog) => props;
  const api = {
    keymap: {
      intercept: (_: string, handler: (input: object) => void) => {
        intercept = handler;
      },
      registerLayer: (made: typeof layer) => {
        layer = made;
      },
      dispatchCommand: (name: string) => host.ran.push(name),
    },
    mode: { current: () => host.mode },
    ui: {
      DialogConfirm: dialogOf,
      DialogPrompt: dialogOf,
      toast: ({ message, variant }: { message: string; variant: string }) => host.said.push(`${variant}: ${message}`),
      dialog: {
        get open() {
          return host.dialog !== null;
        },
        replace(render: () => unknown, onClose = () => {}) {
          host.dialog = render() as Dialog;
          whenClosed = onClose;
        },
        clear() {
          host.dialog = null;
          whenClosed();
        },
      },
    },
    tuiConfig: { keybinds: { get: () => [{ key: host.exitKeys }] } },
    renderer: {
      get currentFocusedEditor() {
        return host.session === "child" ? null : { plainText: host.typed };
      },
    },
    route: {
      get current() {
        return { name: "session", params: { sessionID: host.session } };
      },
      navigate: (_: string, { sessionID }: { sessionID: string }) => host.ran.push(`open ${sessionID}`),
    },
    state: {
      session: {
        get: (id: string) => ({ id, parentID: id === "child" ? "top" : undefined }),
        permission: () => Array.from({ length: host.asks }),
        question: () => [],
      },
    },
  } as unknown as TuiPluginApi;
  const clock = { now: () => START, after: () => () => {} };
  const ui = createRoot(() => {
    const made = createUi(
      api,
      createLabSource(async () => lab),
      clock,
    );
    registerJobKeys(made);
    registerLeaveQuestion(made, args);
    return made;
  });
  await Promise.resolve();
  ui.source.look("top");
  return {
    lab,
    host,
    /** @returns whether the key was kept from the host */
    press(name: string, ctrl = true) {
      let isKept = false;
      intercept({
        event: { name, ctrl },
        consume: () => {
          isKept = true;
        },
      });
      return isKept;
    },
    /** A single letter in a layer that is enabled. */
    type(key: string) {
      if (!layer?.enabled()) return false;
      const cmd = layer.bindings.find((one) => one.key === key)?.cmd;
      layer.commands.find(({ name }) => name === cmd)?.run();
      return true;
    },
  };
}

test("ctrl+c asks while jobs are alive, and the second one leaves", async () => {
  const { press, host } = await keys();
  expect(press("c")).toBe(true);
  expect(host.dialog?.message).toStartWith("There is 1 job at work.");
  expect(host.ran).toEqual([]);
  expect(press("c")).toBe(true);
  expect(host.ran).toEqual(["app.exit"]);
});

test("an answered question is asked again the next time", async () => {
  const { press, host } = await keys();
  press("c");
  host.dialog?.onCancel();
  expect(host.dialog).toBeNull();
  expect(press("c")).toBe(true);
  host.dialog?.onConfirm();
  expect(host.ran).toEqual(["app.exit"]);
});

test.each<[string, (host: Awaited<ReturnType<typeof keys>>["host"]) => void]>([
  [
    "typed text is cleared by it",
    (host) => {
      host.typed = "half a thought";
    },
  ],
  [
    "a dialog is closed by it",
    (host) => {
      host.dialog = { title: "other", onConfirm() {}, onCancel() {} };
    },
  ],
  [
    "a question of the host is answered by it",
    (host) => {
      host.asks = 1;
    },
  ],
  [
    "a full view has it for itself",
    (host) => {
      host.mode = "jobs";
    },
  ],
  [
    "the user has bound leaving to another key",
    (host) => {
      host.exitKeys = "ctrl+q";
    },
  ],
])("ctrl+c is the host's where %s", async (_, change) => {
  const { press, host } = await keys();
  change(host);
  expect(press("c")).toBe(false);
});

test("ctrl+c is the host's where nothing would stop: without live jobs, and where they stay with their server", async () => {
  expect((await keys({ jobs: [sampleJob("a", { state: "completed" })] })).press("c")).toBe(false);
  expect((await keys({ args: ["bun", "opencode", "attach", "http://127.0.0.1:4096"] })).press("c")).toBe(false);
  const { press } = await keys();
  expect(press("c", false)).toBe(false);
  expect(press("d")).toBe(false);
});

test("in a job's conversation letters open its orchestrator, send a message, and cancel after a question", async () => {
  const { type, host, lab } = await keys();
  expect(type("x")).toBe(false); // in the orchestrator's session they are typed
  host.session = "child";
  type("o");
  expect(host.ran).toEqual(["open top"]);
  type("m");
  host.dialog?.onConfirm("  look at the learning rate ");
  type("x");
  expect(host.dialog?.title).toBe("Cancel a?");
  expect(lab.asked).toHaveLength(1);
  host.dialog?.onConfirm();
  await Promise.resolve();
  expect(lab.asked.map(({ session, request }) => [session, request])).toEqual([
    ["top", { kind: "message", job: "a", text: "look at the learning rate" }],
    ["top", { kind: "cancel", jobs: ["a"] }],
  ]);
});

test("what was refused is said, and an empty message is not sent", async () => {
  const { type, host, lab } = await keys();
  host.session = "child";
  lab.answer = () => ({ kind: "refused", code: "not_found", message: "No process has the session in use." });
  type("m");
  host.dialog?.onConfirm("  ");
  expect(lab.asked).toEqual([]);
  type("x");
  host.dialog?.onConfirm();
  await new Promise(process.nextTick);
  expect(host.said).toEqual(["error: No process has the session in use."]);
});

test("where the host asks something in the conversation, letters answer it", async () => {
  const { type, host } = await keys();
  [host.session, host.asks] = ["child", 1];
  expect(type("x")).toBe(false);
});
