import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { hasTmux, startTui } from "../support/tmux.ts";
import { until } from "../support/wait.ts";

/** The command of the terminal UI that opens the dashboard, in the real one, with a browser that only writes down what it gets. */

let model: ModelServer;
let home: OpencodeHome;

beforeAll(async () => {
  model = await startModelServer(scriptedModel);
  home = createHome({ modelUrl: model.url, plugins: [PACKAGE], tuiPlugins: [PACKAGE] });
});

afterAll(async () => {
  await home?.remove();
  await model?.stop();
});

test.skipIf(!hasTmux)("/dashboard serves the page, opens it each time, and ends with OpenCode", async () => {
  const seen = join(home.root, "seen");
  const browser = join(home.root, "browser");
  writeFileSync(browser, `#!/bin/sh\necho "$1" >> '${seen}'\n`);
  chmodSync(browser, 0o755);
  const opened = () => (existsSync(seen) ? readFileSync(seen, "utf8").trim().split("\n") : []);
  const terminal = await startTui(home, { columns: 100, rows: 30, env: { BROWSER: browser } });
  let url = "";
  try {
    const command = async () => {
      await terminal.sendText("/dashboard");
      await terminal.waitForText("metrics and spend");
      await terminal.sendKeys("Enter");
    };
    await command();
    const told = await terminal.waitForText(/It is open in your browser[\s\S]*http:/, 60_000);
    const [first = ""] = opened();
    // The secret is not in the arguments of the browser, which every user of the machine can read.
    expect(first).toMatch(/^file:\/\/\/.*\/dashboard\.html$/);
    url = /url=(http:\/\/127\.0\.0\.1:\d+\/\?token=[^"]+)"/.exec(readFileSync(new URL(first), "utf8"))?.[1] ?? "";
    expect(told).toContain(url);
    const page = await fetch(url);
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("<title>Parallel agents</title>")]);
    await terminal.sendKeys("Escape");
    await terminal.waitForNoText("It is open in your browser");
    await command();
    await until(() => opened().length === 2, { what: "the page is opened again", seen: terminal.capture });
    expect(readFileSync(new URL(opened()[1] ?? ""), "utf8")).toContain(url);
  } finally {
    await terminal.close();
  }
  await until(
    () =>
      fetch(url).then(
        () => false,
        () => true,
      ),
    { what: "the dashboard has ended" },
  );
});
