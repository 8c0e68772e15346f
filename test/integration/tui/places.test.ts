import { afterEach, expect, test } from "bun:test";
import type { TuiPluginApi } from "@opencode-ai/plugin/tui";
import { RGBA } from "@opentui/core";
import { testRender } from "@opentui/solid";
import { createRoot, createSignal } from "solid-js";
import { registerBottomLine } from "../../../src/tui/bottom-line.ts";
import { registerCounter } from "../../../src/tui/counter.ts";
import { type Element, el } from "../../../src/tui/element.ts";
import { createLabSource } from "../../../src/tui/lab-source.ts";
import { registerSidebar } from "../../../src/tui/sidebar.ts";
import { createUi, type Ui } from "../../../src/tui/ui.ts";
import { createSampleLab, START, sampleJob, sampleView } from "../../support/sample-lab.ts";

type Slot = (context: unknown, props: Record<string, unknown>) => Element;

let close = () => {};
afterEach(() => close());

/** The places of the terminal UI around a lab with one session, "top"; `open` is the session on the screen. */
async function show(register: (ui: Ui) => void, slot: string, columns: number) {
  const lab = createSampleLab(sampleView("top", [sampleJob("a", { sessionID: "child", description: "first\tjob" })]));
  const [session, open] = createSignal("top");
  const [isLight, setLight] = createSignal(false);
  const slots = new Map<string, Slot>();
  const colour = () => (isLight() ? RGBA.fromInts(0, 0, 0) : RGBA.fromInts(255, 255, 255));
  const api = {
    theme: {
      get current() {
        return new Proxy({}, { get: colour });
      },
    },
    slots: {
      register: ({ slots: made }: { slots: Record<string, Slot> }) =>
        Object.entries(made).map(([name, one]) => slots.set(name, one)),
    },
    state: {
      session: {
        get: (id: string) => ({ id, title: id, parentID: id === "child" ? "top" : undefined }),
        messages: () => [],
      },
      part: () => [],
    },
    route: {
      get current() {
        return { name: "session", params: { sessionID: session() } };
      },
      navigate: (_: string, { sessionID }: { sessionID: string }) => open(sessionID),
    },
  } as unknown as TuiPluginApi;
  const clock = { now: () => START + 60_000, after: () => () => {} };
  const [ui, dispose] = createRoot(
    (end) =>
      [
        createUi(
          api,
          createLabSource(async () => lab),
          clock,
        ),
        end,
      ] as const,
  );
  register(ui);
  const screen = await testRender(() => el("box", {}, slots.get(slot)?.({}, { session_id: "top" })), {
    width: columns,
    height: 12,
  });
  close = () => {
    screen.renderer.destroy();
    ui.source.close();
    dispose();
  };
  return {
    lab,
    open,
    session,
    setLight,
    screen,
    async frame() {
      await screen.renderOnce();
      return screen
        .captureCharFrame()
        .split("\n")
        .map((line) => line.trimEnd())
        .filter(Boolean);
    },
  };
}

test("the sidebar follows the session's jobs, and a click opens a job's conversation", async () => {
  const { lab, frame, screen, session } = await show(registerSidebar, "sidebar_content", 37);
  expect(await frame()).toEqual([
    "Jobs 1▶               $2.00 of $25.00",
    "H100 1/4 · $4.00/h",
    "● first job                       55s",
  ]);
  await screen.mockMouse.click(3, 2);
  expect(session()).toBe("child");
  lab.change("top", { jobs: [sampleJob("a", { state: "completed", endedAt: new Date(START + 9_000).toISOString() })] });
  expect(await frame()).toContain("✓ job a                            4s");
});

test("a row that cannot be drawn says so, and the others are drawn", async () => {
  const { lab, frame } = await show(registerSidebar, "sidebar_content", 37);
  await frame();
  const broken = sampleJob("b");
  Object.defineProperty(broken, "description", {
    get: () => {
      throw new Error("broken row");
    },
  });
  lab.change("top", { jobs: [broken, sampleJob("c")] });
  const rows = await frame();
  expect(rows.some((row) => row.startsWith("job: not shown (broken row)"))).toBe(true);
  expect(rows.some((row) => row.startsWith("● job c"))).toBe(true);
});

test("the counter is there with the first job, and not before", async () => {
  const { lab, frame, screen } = await show(registerCounter, "session_prompt_right", 40);
  expect(await frame()).toEqual(["1▶ $2.00"]);
  lab.change("top", { jobs: [sampleJob("a"), sampleJob("q", { state: "queued" })] });
  expect(await frame()).toEqual(["1▶ 1… $2.00"]);
  screen.resize(39, 12); // too narrow for the host's own words beside it
  expect(await frame()).toEqual([]);
});

test("the line below everything follows the screen: a session, its job's conversation, another size", async () => {
  const { frame, open, screen } = await show(registerBottomLine, "app_bottom", 160);
  expect(await frame()).toEqual([" Jobs 1▶ $2.00"]);
  open("child");
  expect((await frame())[0]).toMatch(/^ ● first job · 55s · a +o orchestrator · m message · x cancel$/);
  screen.resize(80, 12);
  expect((await frame())[0]).toMatch(/^ ● first job · 55s +o up · m message · x cancel$/);
});

test("a change of theme changes the colours of what is on the screen", async () => {
  const { screen, frame, setLight } = await show(registerSidebar, "sidebar_content", 37);
  await frame();
  const colourOfTitle = () =>
    screen
      .captureSpans()
      .lines[2]?.spans.find(({ text }) => text.includes("first"))
      ?.fg.toInts()
      .slice(0, 3);
  expect(colourOfTitle()).toEqual([255, 255, 255]);
  setLight(true);
  await frame();
  expect(colourOfTitle()).toEqual([0, 0, 0]);
});
