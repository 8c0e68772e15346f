import type { TuiPluginApi } from "@opencode-ai/plugin/tui";
import { RGBA } from "@opentui/core";
import { testRender } from "@opentui/solid";
import { createRoot, createSignal } from "solid-js";
import { type Element, el } from "../../../src/tui/element.ts";
import { registerFullView } from "../../../src/tui/full-view/register.ts";
import { FULL_VIEW } from "../../../src/tui/full-view/route.ts";
import { createLabSource } from "../../../src/tui/lab-source.ts";
import { createUi } from "../../../src/tui/ui.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { createSampleLab, START, sampleView } from "../../support/sample-lab.ts";

interface Layer {
  readonly mode?: string;
  readonly enabled?: () => boolean;
  readonly commands: readonly { readonly name: string; readonly slashName?: string; run(): void }[];
  readonly bindings: readonly { readonly key: string; readonly cmd: string }[];
}

type Interceptor = (input: {
  readonly event: { readonly sequence: string; readonly ctrl: boolean; readonly meta: boolean };
  consume(): void;
}) => void;

/** The full view of the session "top" on a screen of its own, with a host that has routes, modes and keys. */
export async function showFullView(
  jobs: readonly JobView[],
  { columns = 80, rows = 24, tasks = {} as Record<string, string> } = {},
) {
  const lab = createSampleLab(sampleView("top", jobs));
  for (const [id, prompt] of Object.entries(tasks)) lab.jobs.push({ id, task: { prompt, run: null } } as never);
  const [route, setRoute] = createSignal<{ name: string; params?: Record<string, unknown> }>({
    name: "session",
    params: { sessionID: "top" },
  });
  const [isLight, setLight] = createSignal(false);
  const layers: Layer[] = [];
  const interceptors = new Set<Interceptor>();
  const modes = ["base"];
  const events = new Map<string, (event: unknown) => void>();
  const dialogs: string[] = [];
  let confirm = () => {};
  let render: () => Element = () => null;
  const api = {
    theme: {
      get current() {
        const text = isLight() ? RGBA.fromInts(0, 0, 0) : RGBA.fromInts(255, 255, 255);
        const back = isLight() ? RGBA.fromInts(255, 255, 255) : RGBA.fromInts(0, 0, 0);
        return new Proxy({}, { get: (_, name) => (String(name).startsWith("background") ? back : text) });
      },
    },
    state: {
      session: {
        get: (id: string) => ({ id, parentID: id === "child" ? "top" : undefined }),
        permission: (id: string) => (id === "asking" ? [{}] : []),
        question: () => [],
      },
    },
    route: {
      register: ([made]: { render: () => Element }[]) => {
        if (made) render = made.render;
      },
      get current() {
        return route();
      },
      navigate: (name: string, params?: Record<string, unknown>) => setRoute({ name, ...(params && { params }) }),
    },
    mode: {
      push(mode: string) {
        modes.push(mode);
        return () => modes.pop();
      },
    },
    keymap: {
      registerLayer: (layer: Layer) => layers.push(layer),
      intercept(_: string, handler: Interceptor) {
        interceptors.add(handler);
        return () => interceptors.delete(handler);
      },
    },
    event: {
      on(type: string, listener: (event: unknown) => void) {
        events.set(type, listener);
        return () => events.delete(type);
      },
    },
    client: { session: { messages: async () => ({ data: [] }) } },
    ui: {
      dialog: { replace: (made: () => void) => made(), clear() {} },
      DialogConfirm(props: { title: string; onConfirm: () => void }) {
        dialogs.push(props.title);
        confirm = props.onConfirm;
        return null;
      },
      DialogPrompt(props: { title: string; onConfirm: (text: string) => void }) {
        dialogs.push(props.title);
        confirm = () => props.onConfirm("go on");
        return null;
      },
      DialogSelect(props: { title: string; options: object[]; onSelect: (option: object) => void }) {
        dialogs.push(props.title);
        confirm = () => props.onSelect(props.options[1] as object);
        return null;
      },
    },
  } as unknown as TuiPluginApi;
  let reads = 0;
  const clock = {
    now: () => {
      reads++;
      return START + 60_000;
    },
    after: () => () => {},
  };
  const made = createRoot((end) => {
    const ui = createUi(
      api,
      createLabSource(async () => lab),
      clock,
    );
    registerFullView(ui);
    return { ui, end };
  });
  const run = (layer: Layer | undefined, cmd: string | undefined) =>
    layer?.commands.find(({ name }) => name === cmd)?.run();
  const press = (...keys: string[]) => {
    for (const key of keys) {
      const mode = modes.at(-1);
      const layer = layers.find(
        (one) =>
          (one.mode ?? "base") === mode &&
          (one.enabled?.() ?? true) &&
          one.bindings.some((binding) => binding.key.split(",").includes(key)),
      );
      run(layer, layer?.bindings.find((binding) => binding.key.split(",").includes(key))?.cmd);
    }
  };
  const { showWhen } = { showWhen: () => route().name === FULL_VIEW };
  const screen = await testRender(
    () => el("box", { flexGrow: 1 }, () => (showWhen() ? render() : el("text", {}, "the conversation"))),
    { width: columns, height: rows },
  );
  const close = () => {
    screen.renderer.destroy();
    made.ui.source.close();
    made.end();
  };
  const frame = async () => {
    await screen.renderOnce();
    await screen.renderOnce();
    return screen.captureCharFrame().replace(/[ \n]+$/, "");
  };
  await Promise.resolve();
  press("f6");
  return {
    close,
    lab,
    route,
    press,
    /** Letters that nothing on the screen has the focus for. */
    typeUnfocused(text: string) {
      for (const sequence of text)
        for (const handler of interceptors) handler({ event: { sequence, ctrl: false, meta: false }, consume() {} });
    },
    frame,
    screen,
    events,
    dialogs,
    setLight,
    modes,
    confirm: () => confirm(),
    reads: () => reads,
  };
}
