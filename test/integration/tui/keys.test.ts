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

interface Layer {
  readonly mode?: string;
  readonly commands: readonly { readonly name: string; run(): unknown }[];
  readonly bindings?: readonly { readonly key: string; readonly cmd: string }[];
  enabled(): boolean;
}

/** The keys of the terminal UI around a session, "top", with one job, whose conversation is "child". */
async function keys({ jobs = [sampleJob("a", { sessionID: "child" })], args = [] as string[] } = {}) {
  const lab = createSampleLab(sampleView("top", jobs as JobView[]));
  const host = {
    session: "top",
    asks: 0,
    dialog: null as Dialog | null,
    said: [] as string[],
    ran: [] as string[],
  };
  let whenClosed = () => {};
  const layers: Layer[] = [];
  const dialogOf = (props: Dialog) => props;
  const api = {
    keymap: {
      registerLayer: (made: Layer) => layers.push(made),
      dispatchCommand: (name: string) => run(name),
    },
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
    tuiConfig: { keybinds: { get: (cmd: string) => [{ key: "ctrl+c,ctrl+d,<leader>q", cmd }] } },
    renderer: {
      get currentFocusedEditor() {
        return host.session === "child" ? null : { plainText: "" };
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
  /** The newest layer that is in force has the command; where that passes it on, it is the host's. */
  function run(name: string): void {
    const mode = host.dialog === null ? "base" : "modal";
    const inForce = layers.filter((layer) => (layer.mode ?? mode) === mode && layer.enabled());
    const isDone = inForce.some(({ commands }) => {
      const command = commands.find((one) => one.name === name);
      return command !== undefined && command.run() !== false;
    });
    if (!isDone) host.ran.push(name);
  }
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
    /** What the host does at its keys for it, `/exit` and its palette. */
    exit: () => run("app.exit"),
    /** A single letter in a layer that is enabled. */
    type(key: string) {
      const layer = layers.find(({ bindings }) => bindings?.some((one) => one.key === key));
      if (!layer?.enabled()) return false;
      run(layer.bindings?.find((one) => one.key === key)?.cmd ?? "");
      return true;
    },
  };
}

test("leaving asks while jobs are alive, and the second time it leaves", async () => {
  const { exit, host } = await keys();
  exit();
  expect(host.dialog?.message).toStartWith("There is 1 job at work.");
  expect(host.ran).toEqual([]);
  exit();
  expect(host.ran).toEqual(["app.exit"]);
});

test("an answered question is asked again the next time", async () => {
  const { exit, host } = await keys();
  exit();
  host.dialog?.onCancel();
  expect(host.dialog).toBeNull();
  exit();
  expect(host.ran).toEqual([]);
  host.dialog?.onConfirm();
  expect(host.ran).toEqual(["app.exit"]);
});

test("the second time is told by the keys that the user has for it", async () => {
  const { exit, type, host } = await keys();
  exit();
  expect(type("ctrl+c,ctrl+d,<leader>q")).toBe(true);
  expect(host.ran).toEqual(["app.exit"]);
});

test("a question of the host's in the conversation is answered, and another dialog closed, as without the plugin", async () => {
  const asked = await keys();
  asked.host.asks = 1;
  asked.exit();
  expect(asked.host.ran).toEqual(["app.exit"]);
  const open = await keys();
  open.host.dialog = { title: "other", onConfirm() {}, onCancel() {} };
  open.exit();
  expect(open.host.ran).toEqual(["app.exit"]);
});

test("the host leaves at once where nothing would stop: without live jobs, and where they stay with their server", async () => {
  const ended = await keys({ jobs: [sampleJob("a", { state: "completed" })] });
  ended.exit();
  expect(ended.host.ran).toEqual(["app.exit"]);
  const attached = await keys({ args: ["bun", "opencode", "attach", "http://127.0.0.1:4096"] });
  attached.exit();
  expect(attached.host.ran).toEqual(["app.exit"]);
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
