import { afterEach, expect, test } from "bun:test";
import { iso, sampleJob } from "../../support/sample-lab.ts";
import { showFullView } from "./full-view-host.ts";

let close = () => {};
afterEach(() => close());

async function show(...args: Parameters<typeof showFullView>) {
  const shown = await showFullView(...args);
  close = shown.close;
  return shown;
}

const settle = () => new Promise<void>((done) => setImmediate(done));

const SOME = [
  sampleJob("a", {
    kind: "agent",
    sessionID: "child",
    description: "first\tjob",
    metrics: { loss: { value: 0.5, at: iso(0), source: "output" } },
  }),
  sampleJob("b", { parent: "a", metrics: { loss: { value: 0.25, at: iso(0), source: "output" } } }),
  sampleJob("c", {
    state: "failed",
    endedAt: iso(20),
    error: { code: "command_failed", message: "exit code 3", retryable: false },
  }),
  sampleJob("d", { state: "queued", description: "needle" }),
  sampleJob("e", { state: "queued" }),
];

/** The chosen row. */
const chosenIn = (frame: string) => /› (.*?)(?: {2,}|$)/m.exec(frame)?.[1];

test("the view lists by urgency and shows the chosen job; keys move, fold, order, filter, ask for help and leave", async () => {
  const { frame, press, route, screen, modes, typeUnfocused } = await show(SOME);
  const first = await frame();
  expect(first).toMatch(/Jobs 2▶ 2… 1✗ · \$2.00 of \$25.00 · \$4.00\/h · H100 1\/4 +by urgency/);
  expect(first).toMatch(
    /Needs you 1[\s\S]*› ✗ job c command_failed[\s\S]*Running 2[\s\S]*● first job[\s\S]*Queued 2[\s\S]*2 jobs wait/,
  );
  expect(first).toMatch(/failed · 15s · compute \$0.25 +c/);
  press("down");
  expect(chosenIn(await frame())).toBe("● first job loss 0.5");
  press("end");
  expect(chosenIn(await frame())).toMatch(/^· 2 jobs wait/);
  press("return");
  expect(await frame()).toContain("· needle");
  press("home", "pagedown", "pageup", "t");
  expect(await frame()).toMatch(/● first job loss 0.5 +55s · \$0.25 · Σ 2 jobs 20s \$0.50 2▶[\s\S]*└ ● job b/);
  press("home", "left");
  expect(await frame()).not.toContain("└ ● job b");
  press("right", "r");
  expect(await frame()).toMatch(
    /by loss, smallest first[\s\S]*Not ranked: not ended 2[\s\S]*– ● job b[\s\S]*– ● first job[\s\S]*Without this metric 3/,
  );
  press("r", "f");
  expect(await frame()).toMatch(/running and failed only · 3 of 5/);
  press("f", "f", "f", "?");
  expect(await frame()).toMatch(/enter keeps it, escape ends it/);
  press("escape", "/");
  typeUnfocused("ne"); // they came with the key, over a slow connection
  await frame();
  await settle();
  await screen.mockInput.typeText("edle");
  expect(await frame()).toMatch(/\/needle · 1 of 5[\s\S]*› · needle/);
  press("return");
  expect(await frame()).toMatch(/\/needle · 1 of 5/);
  press("/", "escape");
  expect(await frame()).not.toContain("1 of 5");
  press("q");
  expect([route().name, modes]).toEqual(["session", ["base"]]);
  expect(await frame()).toContain("the conversation");
});

test("what is asked of a job goes to its process, and the answer is in the status line", async () => {
  const { frame, press, lab, dialogs, confirm, route } = await show(SOME);
  await frame();
  press("c");
  expect(await frame()).toContain("c has ended already");
  press("down", "c");
  confirm();
  press("m");
  confirm();
  press("s", "o", "shift+o");
  confirm();
  await settle();
  expect(dialogs).toEqual(["Cancel a?", "Message to a", "Collect the changes of a as"]);
  expect(lab.asked.map(({ request }) => request)).toEqual([
    { kind: "cancel", jobs: ["a"] },
    { kind: "message", job: "a", text: "go on" },
    { kind: "snapshot", job: "a", label: null },
    { kind: "collect", job: "a", mode: "branch" },
    { kind: "collect", job: "a", mode: "patch" },
  ]);
  expect(await frame()).toContain("Done.");
  lab.answer = () => ({ kind: "refused", code: "busy", message: "It is \x1b[31mbusy." });
  press("s");
  await settle();
  expect(await frame()).toContain("It is busy.");
  press("down", "return");
  expect(await frame()).toContain("b is a run: a command without a conversation");
  press("up", "return");
  expect(route()).toEqual({ name: "session", params: { sessionID: "child" } });
});

test("what a conversation does is shown while it does it, and a question of it is what needs the user", async () => {
  const jobs = [sampleJob("a", { kind: "agent", sessionID: "asking" })];
  const { frame, press, events } = await show(jobs, { rows: 40, tasks: { a: "Make it\nfast." } });
  expect(await frame()).toMatch(/Needs you 1[\s\S]*waits for your answer/);
  const part = (more: object) =>
    events.get("message.part.updated")?.({ properties: { part: { sessionID: "asking", messageID: "m", ...more } } });
  part({ type: "tool", tool: "sandbox_exec", state: { status: "running", input: { command: "pytest -q" } } });
  part({ type: "text", ignored: true, text: "1 passed\n\x1b[31m2 passed" });
  part({ type: "text", text: "other", sessionID: "elsewhere" });
  press("down");
  expect(await frame()).toMatch(/Now[\s\S]*\$ pytest -q[\s\S]*1 passed +\n 2 passed[\s\S]*Prompt +\n Make it/);
});

test("a job that cannot be drawn says so, the others stay, and a view that fails can be left", async () => {
  const { frame, press, lab, route, modes } = await show(SOME);
  await frame();
  const broken = (name: "description" | "id") => {
    const job = sampleJob("x");
    Object.defineProperty(job, name, {
      enumerable: true,
      get: () => {
        throw new Error("broken");
      },
    });
    return job;
  };
  lab.change("top", { jobs: [sampleJob("z"), broken("description"), sampleJob("y")] });
  expect(await frame()).toMatch(/● job z[\s\S]*Job: not shown \(broken\)[\s\S]*● job y/);
  press("down");
  expect(await frame()).toContain("Detail: not shown (broken)");
  lab.change("top", { jobs: [broken("id")] });
  expect(await frame()).toContain("not shown (broken)");
  press("escape");
  expect([route().name, modes]).toEqual(["session", ["base"]]);
});

test("a thousand jobs mount as many rows as the screen has, and nothing is drawn while nothing changes", async () => {
  const many = Array.from({ length: 1_000 }, (_, at) =>
    sampleJob(`j${at}`, { state: "completed", endedAt: iso(at + 10) }),
  );
  const { frame, press, screen, reads } = await show(many);
  await frame();
  const countIn = (node: { getChildren(): { getChildren(): never[] }[] }): number =>
    node.getChildren().reduce((sum, child) => sum + 1 + countIn(child as never), 0);
  expect(countIn(screen.renderer.root as never)).toBeLessThan(120);
  press("end");
  expect(await frame()).toContain("› ✓ job j0 ");
  const before = reads();
  await frame();
  await frame();
  expect(reads()).toBe(before);
});

test("at every size the view fits the screen, in a light theme too", async () => {
  for (const [columns, rows] of [
    [160, 40],
    [110, 24],
    [80, 24],
    [80, 10],
    [40, 8],
    [20, 5],
  ] as const) {
    const { frame, screen, setLight } = await show(SOME, { columns, rows });
    setLight(true);
    const text = await frame();
    if (columns >= 40) expect(text).toMatch(/› ✗ job c/);
    if (rows >= 8) expect(text).toContain("? keys");
    const colours = new Set(
      screen
        .captureSpans()
        .lines.flatMap(({ spans }) =>
          spans.filter(({ text: shown }) => shown.trim() !== "").map(({ fg }) => fg.toInts().slice(0, 3).join()),
        ),
    );
    expect([...colours]).toEqual(["0,0,0"]);
    close();
    close = () => {};
  }
});
