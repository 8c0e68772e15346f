import { createSignal, onCleanup } from "solid-js";
import { orchestratorOf, sessionOnScreen } from "../sessions.ts";
import { part, type Ui } from "../ui.ts";
import { fullView } from "./full-view.ts";
import { type Action, KEYS } from "./keys.ts";
import { FIRST_LOOKS, looksAgain } from "./looks.ts";
import type { Memory } from "./memory.ts";
import { FULL_VIEW } from "./route.ts";

/** The full view, the commands that open it, and its keys. */
export function registerFullView(ui: Ui): void {
  const { api, source } = ui;
  const [looks, setLooks] = createSignal(FIRST_LOOKS);
  const memory: Memory = { looks, setLooks, act: null };
  let from: typeof api.route.current = { name: "home" };
  let session: string | null = null;

  api.route.register([
    {
      name: FULL_VIEW,
      render: () => {
        // Outside of the boundary: where the view has failed, its keys still leave it.
        onCleanup(api.mode.push(FULL_VIEW));
        return part(ui, "Jobs (escape leaves)", () => fullView(ui, session, memory));
      },
    },
  ]);

  function open(): void {
    if (api.route.current.name === FULL_VIEW) return;
    from = api.route.current;
    const onScreen = sessionOnScreen(api.route);
    const orchestrator = onScreen === null ? newest() : orchestratorOf(api.state, onScreen);
    if (orchestrator !== session) setLooks(FIRST_LOOKS);
    session = orchestrator;
    api.route.navigate(FULL_VIEW);
  }

  /** Of the sessions that the host lists here, the one whose jobs have changed last. */
  function newest(): string | null {
    const known = source.lab()?.sessions(null) ?? [];
    return known.find(({ id }) => api.state.session.get(id) !== undefined)?.id ?? null;
  }

  function leave(): void {
    setLooks(looksAgain);
    const { params } = from as { readonly params?: Record<string, unknown> };
    api.route.navigate(from.name, params);
  }

  function act(action: Action): void {
    const { isHelp, isTyping } = looks();
    if (isHelp && memory.act !== null) setLooks((before) => ({ ...before, isHelp: false }));
    else if (action === "leave" && !isTyping) leave();
    else memory.act?.(action);
  }

  const commandOf = (action: Action) => `${FULL_VIEW}.${action}`;
  api.keymap.registerLayer({
    commands: [
      {
        name: `${FULL_VIEW}.view`,
        title: "Jobs",
        desc: "All jobs of this session: what needs you, what runs, what came of it",
        category: "Jobs",
        namespace: "palette",
        slashName: "jobs",
        run: open,
      },
    ],
    bindings: [{ key: "<leader>j,f6", cmd: `${FULL_VIEW}.view`, desc: "Jobs" }],
  });
  api.keymap.registerLayer({
    mode: FULL_VIEW,
    enabled: () => !looks().isTyping,
    commands: KEYS.map(({ action, does }) => ({
      name: commandOf(action),
      title: does,
      category: "Jobs",
      run: () => act(action),
    })),
    bindings: KEYS.map(({ key, action, does }) => ({ key, cmd: commandOf(action), desc: does })),
  });
  api.keymap.registerLayer({
    mode: FULL_VIEW,
    enabled: () => looks().isTyping,
    commands: [
      {
        name: `${FULL_VIEW}.filter.keep`,
        title: "Keep the filter",
        run: () => setLooks((before) => ({ ...before, isTyping: false })),
      },
      {
        name: `${FULL_VIEW}.filter.end`,
        title: "End the filter",
        run: () => setLooks((before) => ({ ...before, isTyping: false, filter: "" })),
      },
      { name: `${FULL_VIEW}.filter.up`, title: "The job above", run: () => memory.act?.("up") },
      { name: `${FULL_VIEW}.filter.down`, title: "The job below", run: () => memory.act?.("down") },
    ],
    bindings: [
      { key: "return", cmd: `${FULL_VIEW}.filter.keep`, desc: "Keep the filter" },
      { key: "escape,ctrl+c", cmd: `${FULL_VIEW}.filter.end`, desc: "End the filter" },
      { key: "up", cmd: `${FULL_VIEW}.filter.up`, desc: "The job above" },
      { key: "down", cmd: `${FULL_VIEW}.filter.down`, desc: "The job below" },
    ],
  });
}
