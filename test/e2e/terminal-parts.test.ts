import { afterAll, beforeAll, expect, test } from "bun:test";
import { type ModelReply, type ModelServer, startModelServer } from "../support/model-server.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, script, scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { hasTmux, startTui, type Terminal } from "../support/tmux.ts";

/** What the part for the terminal UI shows and asks, in the real one, as a person sees it. */

const work = (n: number) =>
  script(
    call("job_report", { status: `phase ${n}`, metrics: { score: n } }),
    call("sandbox_exec", { command: "sleep 300" }),
    say(`answer of ${n}`),
  );

const plays: Record<string, ModelReply[]> = {
  "start them": [
    call("agents_start", {
      tasks: [
        { description: "a run that fails", command: "echo oh no; exit 3" },
        ...[1, 2, 3].map((n) => ({ description: `job \t\x1b[31m日本 ${n}`, prompt: work(n) })),
      ],
    }),
    say("they have started"),
  ],
};

let model: ModelServer;
let home: OpencodeHome;

beforeAll(async () => {
  model = await startModelServer((request) => {
    if (request.lastUser.startsWith("[parallel agents]")) return say("noted");
    const play = plays[request.lastUser.replace(/^"|"$/g, "").trim()];
    return play?.[request.step] ?? scriptedModel(request);
  });
  home = createHome({ modelUrl: model.url, plugins: [[PACKAGE, { maxRunningJobs: 2 }]], tuiPlugins: [PACKAGE] });
});

afterAll(async () => {
  await home?.remove();
  await model?.stop();
});

const withTui = async (options: Parameters<typeof startTui>[1], use: (terminal: Terminal) => Promise<void>) => {
  const terminal = await startTui(home, options);
  try {
    await use(terminal);
  } finally {
    await terminal.close();
  }
};

(hasTmux ? sandboxTest : test.skip)(
  "jobs are shown beside, in and below the conversation, and not left without a question",
  async () => {
    await withTui({ columns: 160 }, async (terminal) => {
      await terminal.submit("start them");
      const wide = await terminal.waitForText(/Jobs 2▶ 1… 1✗[\s\S]*phase 1 · score 1[\s\S]*phase 2/);
      expect(wide).toMatch(/● job 日本 1 +\d+s\n/);
      expect(wide).toMatch(/· job 日本 3 waits/);
      expect(wide).toMatch(/✗ a run that fails +\d+s\n.*command_failed: /);
      expect(wide).toMatch(/Build · m1 mock.* 2▶ 1… 1✗ /);

      terminal.resize(80);
      const narrow = await terminal.waitForText(/^ Jobs 2▶ 1… 1✗/m);
      expect(narrow).toMatch(/Build · m1 mock.* 2▶ 1… 1✗ /);

      await terminal.sendKeys("C-x", "Down");
      await terminal.waitForText(/^ ● job 日本 \d · \$ sleep 300 · .*o up · m message · x cancel$/m);
      await terminal.sendKeys("x");
      await terminal.waitForText(/Cancel job_/);
      await terminal.sendKeys("Enter");
      await terminal.waitForText(/^ ⊘ job 日本 \d · /m);
      await terminal.sendKeys("o");
      await terminal.waitForText(/Build · m1 mock.* 2▶ 1✗ /);

      await terminal.sendText("half a thought");
      await terminal.sendKeys("C-c");
      await terminal.waitForNoText("half a thought");
      await terminal.sendKeys("C-c");
      await terminal.waitForText(/Leave OpenCode\?[\s\S]*There are 2 jobs at work/);
      await terminal.sendKeys("Escape");
      await terminal.waitForNoText("Leave OpenCode?");
      await terminal.sendText("/exit");
      await terminal.waitForText("Exit the app");
      await terminal.sendKeys("Enter");
      await terminal.waitForText("Leave OpenCode?");
      await terminal.sendKeys("Escape");
      await terminal.waitForNoText("Leave OpenCode?");
      await terminal.sendKeys("C-p");
      await terminal.waitForText(/Commands +esc/);
      await terminal.sendText("exit");
      await terminal.waitForText("Exit the app");
      await terminal.sendKeys("Enter");
      await terminal.waitForText("Leave OpenCode?");
      await terminal.sendKeys("Escape");
      await terminal.waitForNoText("Leave OpenCode?");
      await terminal.sendKeys("C-d");
      await terminal.waitForText("Leave OpenCode?");
      await terminal.sendKeys("C-c");
      await terminal.waitForText("opencode -s");
    });
    await withTui({ columns: 80 }, async (terminal) => {
      await terminal.waitForText(/‖ 2 jobs were interrupted in "A title"/);
    });
  },
);
