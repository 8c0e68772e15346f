import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { startProcess, type TrackedProcess } from "../support/child-process.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { bubblewrap } from "../support/sandboxes.ts";
import { call, say, script } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { shell, start, status, task, turn, wait } from "../support/turns.ts";
import { useProject } from "../support/use-setup.ts";
import { until } from "../support/wait.ts";

/* `opencode-parallel-agents dashboard` beside a real OpenCode with jobs at work. */

const setup = useProject(
  {
    maxRunningJobs: 6,
    environments: { default: { workspace: "project" } },
    benchmarks: {
      loss: { command: "sh eval.sh", metric: "loss", direction: "min", protect: ["eval.sh"] },
    },
  },
  { files: { "model.txt": "10\n", "eval.sh": 'read value < model.txt; echo "METRIC loss=$value"\n' } },
);

const TRAIN = 'for i in 1 2 3; do echo "METRIC acc=0.$i$LR step=$i"; done';
/** Prints a line whenever its file grows, until it is told to end. */
const FOLLOW = "touch talk; echo ready; tail -f talk";

let browser: Browser;
let command: TrackedProcess;
let url = "";

const isPossible = chromiumPath !== null && bubblewrap !== null;

if (isPossible) {
  beforeAll(async () => {
    const { home } = setup;
    const args = [join(PACKAGE, "dist/cli/main.js"), "dashboard", "--json", "--state-dir", home.stateDir];
    [browser, command] = await Promise.all([
      startChromium(chromiumPath as string),
      startProcess("node", args, { cwd: home.project, env: home.env, name: "dashboard" }),
    ]);
    ({ url } = await until(() => JSON.parse(command.stdout()) as { url: string }, {
      what: "the dashboard prints its address",
      seen: () => command.stderr(),
    }));
  });
  afterAll(async () => {
    await browser?.close();
    await command?.stop();
  });
}

test.skipIf(!isPossible)("the page shows a real session while it works, and what is asked on it is done", async () => {
  const { server, home } = setup;
  const page = await browser.newPage({ viewport: { width: 1300, height: 1000 } });
  await page.goto(url);
  await page.getByText("No session has had jobs yet").waitFor();

  const { id } = await server.createSession();
  const [, made] = await turn(
    server,
    id,
    start(
      { description: "train", command: TRAIN, matrix: { LR: [1, 2] } },
      { description: "breaks", command: "echo no such data; exit 3" },
      task(
        "improves",
        call("sandbox_write", { path: "model.txt", content: "7\n" }),
        call("sandbox_write", { path: "new file.txt", content: "<b>new</b>\n" }),
        call("sandbox_snapshot", { label: "better" }),
        say("done with it"),
      ),
    ),
    wait(),
  );
  const improves = made?.metadata.finished.find(({ description }) => description === "improves")?.id as string;
  await turn(
    server,
    id,
    start({ description: "forks", command: "cat model.txt", from: "better" }),
    call("experiments_score", { jobs: [improves], benchmark: "loss" }),
    wait(),
  );
  await turn(
    server,
    id,
    start(
      { description: "follows", command: FOLLOW },
      task("works", shell(FOLLOW, { timeout_seconds: 600 }), say("never said")),
    ),
  );
  const bar = (name: string) => page.locator(".bars li", { has: page.getByRole("button", { name, exact: true }) });
  const open = (name: string) => bar(name).getByRole("button").first().click();
  const aside = page.locator("aside");

  // The page was there before the session, and has followed it.
  await page.getByText("Live", { exact: true }).waitFor();
  await bar("works").waitFor();
  const needs = page.locator("section", { has: page.getByRole("heading", { name: "Needs you" }) });
  await needs.getByText("breaks").waitFor();
  for (const words of ["train (LR=1)", "train (LR=2)", "forks"]) await bar(words).waitFor();
  await page.locator("table.ledger").getByText("clean").waitFor();

  // Output while the command runs, of a run and of an agent's tool.
  for (const name of ["follows", "works"]) {
    await open(name);
    const output = aside.getByLabel("Output, live");
    await output.getByText("ready").waitFor();
    const job = ((await turn(server, id, status()))[0]?.metadata.jobs ?? []).find((one) => one.description === name);
    writeFileSync(join(home.stateDir, "local/sandboxes", job?.sandboxID ?? "", "workspace/talk"), `${name} says <i>\n`);
    await output.getByText(`${name} says <i>`).waitFor();
  }

  // What a job has changed, and its collection.
  await open("improves");
  await aside.getByText("done with it").waitFor();
  await aside.locator(".files").getByText("new file.txt").waitFor();
  await aside.getByLabel("Changes of the job's files").getByText("+<b>new</b>").waitFor();
  const act = async (action: string, yes: string) => {
    await aside.getByRole("button", { name: `${action} …` }).click();
    if (action === "Message") await page.getByRole("textbox", { name: "Message" }).fill(script(say("said again")));
    await page.getByRole("dialog").getByRole("button", { name: yes, exact: true }).click();
  };
  await act("Collect", "Collect");
  await aside.getByText(`agents/${improves}`).first().waitFor();
  expect(home.git("show", `agents/${improves}:model.txt`)).toBe("7");
  await act("Message", "Send");
  await aside.getByText("The message is queued as the next turn").waitFor();
  await aside.getByText(", 2 turns").waitFor();

  await open("works");
  await act("Cancel", "Cancel the job");
  await aside.getByRole("status").getByText("Cancelled job_").waitFor();
  await bar("works").getByRole("img", { name: "cancelled" }).first().waitFor();

  await open("follows");
  await aside.getByLabel("Output, live").waitFor();
  await server.client.instance.dispose();
  await page.getByText("Read only: no OpenCode process").waitFor();
  await open("follows");
  await act("Cancel", "Cancel the job");
  await aside.getByText("No OpenCode has this session in use").waitFor();
});
