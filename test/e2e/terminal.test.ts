import { Database } from "bun:sqlite";
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type ModelReply, type ModelServer, startModelServer } from "../support/model-server.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { runOnce } from "../support/opencode-run.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, script, scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { hasTmux, startTui } from "../support/tmux.ts";

/** The one-shot command and the terminal UI, as a person uses them: the prompt is typed, the model acts on it. */

const work = (n: number, seconds: number) =>
  script(
    call("job_report", { status: `phase ${n}`, metrics: { score: n } }),
    call("sandbox_exec", { command: `echo line of ${n}; sleep ${seconds}; hostname` }),
    say(`answer of ${n}`),
  );

const plays: Record<string, ModelReply[]> = {
  "run two jobs": [
    call("agents_start", { tasks: [1, 2].map((n) => ({ description: `short job ${n}`, prompt: work(n, 1) })) }),
    call("agents_wait", {}),
    say("both are back"),
  ],
  "start two slow jobs": [
    call("agents_start", { tasks: [1, 2].map((n) => ({ description: `slow job ${n}`, prompt: work(n, 12) })) }),
    call("agents_wait", {}),
    say("the slow ones are back"),
  ],
};

let model: ModelServer;
let home: OpencodeHome;

beforeAll(async () => {
  model = await startModelServer((request) => {
    const play = plays[request.lastUser.replace(/^"|"$/g, "").trim()];
    return play?.[request.step] ?? scriptedModel(request);
  });
  // With OpenCode's snapshots: then sessions of jobs run in an instance of their own.
  home = createHome({ modelUrl: model.url, plugins: [[PACKAGE, { parkAfterSeconds: 0 }]], snapshot: true });
});

afterAll(async () => {
  await home?.remove();
  await model?.stop();
});

/** Of the sessions that have a parent. */
function directoriesOfJobs(): unknown[] {
  const database = new Database(join(home.dataDir, "opencode.db"), { readonly: true });
  try {
    const rows = database.query("select distinct directory from session where parent_id is not null").values();
    return rows.flat();
  } finally {
    database.close();
  }
}

sandboxTest("opencode run ends after it has the results of its jobs", async () => {
  const { exitCode, events, stderr } = await runOnce(home, "run two jobs");
  expect(stderr).not.toContain("Error");
  expect(exitCode).toBe(0);
  const wait = events.find(({ part }) => part?.tool === "agents_wait")?.part?.state;
  expect(wait?.status).toBe("completed");
  expect(wait?.output).toContain("answer of 1");
  expect(wait?.output).toContain("answer of 2");
  const texts = events.filter(({ type }) => type === "text").map(({ part }) => part?.text);
  expect(texts).toEqual(["both are back"]);
  expect(model.errors).toEqual([]);
});

(hasTmux ? sandboxTest : test.skip)(
  "the terminal UI shows running jobs and opens their sessions",
  async () => {
    const terminal = await startTui(home);
    try {
      await terminal.submit("start two slow jobs");
      const board = await terminal.waitForText(/slow job 1.*phase 1/);
      expect(board).toMatch(/slow job 2/);
      expect(board).toMatch(/agents_wait/);
      await terminal.sendKeys("C-x", "Down");
      await terminal.waitForText(/Sandbox_worker/);
      await terminal.waitForText(/sandbox_exec/); // it may just have reported its phase
      await terminal.waitForText(/line of \d/);
      await terminal.sendKeys("Up");
      await terminal.waitForText("the slow ones are back");
      await terminal.waitForText(/✓ slow job 1 completed/); // the board has become the list that stays
      expect(terminal.capture()).not.toContain("phase 1");
      expect(directoriesOfJobs()).toEqual([join(home.project, ".git")]);
    } finally {
      await terminal.close();
    }
  },
  240_000,
);
