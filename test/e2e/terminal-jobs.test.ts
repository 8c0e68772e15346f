import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ModelReply, type ModelServer, startModelServer } from "../support/model-server.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, script, scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { hasTmux, startTui } from "../support/tmux.ts";

/** The full view of the jobs in the real terminal UI: each key, at 80 and at 160 columns. */

const plays: Record<string, ModelReply[]> = {
  "start them": [
    call("agents_start", {
      tasks: [
        { description: "a run that fails", command: "echo oh no; exit 3" },
        {
          description: "an agent \t\x1b[31m日本",
          prompt: script(
            call("job_report", { status: "phase 1", metrics: { score: 1 } }),
            call("sandbox_exec", { command: "echo so far so good; sleep 300" }),
            say("done"),
          ),
        },
        ...["first", "second"].map((name) => ({ description: `${name} run`, command: "echo score=1; sleep 300" })),
      ],
    }),
    say("they have started"),
  ],
};

let model: ModelServer;
let home: OpencodeHome;

beforeAll(async () => {
  model = await startModelServer((request) => {
    const play = plays[request.lastUser.replace(/^"|"$/g, "").trim()];
    return play?.[request.step] ?? scriptedModel(request);
  });
  home = createHome({ modelUrl: model.url, plugins: [[PACKAGE, { maxRunningJobs: 1 }]], tuiPlugins: [PACKAGE] });
});

afterAll(async () => {
  await home?.remove();
  await model?.stop();
});

(hasTmux ? sandboxTest : test.skip)("the full view shows the jobs and does what its keys say", async () => {
  const terminal = await startTui(home, { columns: 160, rows: 40 });
  const seen = async (pattern: RegExp) => {
    const screen = await terminal.waitForText(pattern, 20_000);
    if (process.env.SHOW_SCREENS) process.stderr.write(`${screen}\n${"=".repeat(80)}\n`);
    return screen;
  };
  try {
    await terminal.submit("start them");
    await terminal.waitForText(/Jobs 1▶ 2… 1✗[\s\S]*phase 1/);
    await terminal.sendText("half a thought");
    await terminal.sendKeys("F6");
    await seen(
      /Needs you 1[\s\S]*› ✗ a run that fails command_failed[\s\S]*Running 1[\s\S]*Queued 2[\s\S]*2 jobs wait/,
    );
    await terminal.sendKeys("Down");
    await seen(/› ● an agent 日本 phase 1[\s\S]*so far so good/);
    await terminal.sendKeys("s");
    await seen(/snapshot|Snapshot/);
    await terminal.sendKeys("?");
    await seen(/enter keeps it, escape ends it/);
    await terminal.sendKeys("Escape");
    await terminal.waitForNoText("escape ends it");
    await terminal.sendKeys("t");
    await seen(/Jobs .* tree$/m);
    await terminal.sendKeys("r");
    await seen(/by score, largest first[\s\S]*Not ranked: not ended 1[\s\S]*– ● an agent/);
    await terminal.sendKeys("Right", "Left", "r", "f");
    await seen(/running and failed only · 2 of 4/);
    await terminal.sendKeys("f", "f", "f", "/");
    await terminal.sendText("second");
    await seen(/› · second run/);
    await terminal.sendKeys("Escape");
    await terminal.waitForNoText("/second");
    await terminal.sendKeys("Home", "End", "Enter");
    await seen(/2 jobs wait[\s\S]*· first run[\s\S]*· second run/);

    terminal.resize(20, 5); // the list has all the room there is
    await seen(/^ Jobs [^\n]*\n +[^─\s]/);
    terminal.resize(3, 1);
    terminal.resize(80);
    await seen(/^ ─{78}$[\s\S]*^ ─{78}$/m);
    await terminal.sendKeys("Home", "Down", "m");
    await seen(/Message to job_/);
    await terminal.sendText("go on");
    await terminal.sendKeys("Enter");
    await terminal.waitForNoText("Message to job_");
    await terminal.sendKeys("o");
    await seen(/Collect|collect/);
    await terminal.sendKeys("Enter");
    await seen(/● an agent 日本 · .*o up · m message · x cancel$/m);
    await terminal.sendKeys("F6");
    await seen(/Needs you 1/);
    await terminal.sendKeys("c");
    await seen(/Cancel job_/);
    await terminal.sendKeys("Enter");
    await seen(/⊘ an agent 日本/);
    await terminal.sendKeys("C-c");
    await terminal.sendKeys("o");
    await seen(/half a thought/);
    expect(terminal.capture()).not.toContain("crashed");
  } finally {
    await terminal.close();
  }
});
