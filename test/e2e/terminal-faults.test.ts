import { afterAll, beforeAll, expect, test } from "bun:test";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { createHome, type OpencodeHome } from "../support/opencode-home.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { call, say, scriptedModel } from "../support/scripted.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { hasTmux, startTui } from "../support/tmux.ts";

/** The terminal part with a fault in the rows of some jobs, in the real terminal UI. */

const TASKS = ["a run that works", "a run with a fault"].map((description) => ({ description, command: "sleep 300" }));

let model: ModelServer;
let home: OpencodeHome;
let copy = "";

beforeAll(async () => {
  const play = [call("agents_start", { tasks: TASKS }), say("they have started")];
  model = await startModelServer(
    (request) => (request.lastUser.includes("start them") ? play[request.step] : null) ?? scriptedModel(request),
  );
  copy = mkdtempSync(join(tmpdir(), "faulty-"));
  mkdirSync(join(copy, "package"));
  for (const name of ["dist", "package.json"])
    cpSync(join(PACKAGE, name), join(copy, "package", name), { recursive: true });
  symlinkSync(join(PACKAGE, "node_modules"), join(copy, "package", "node_modules"));
  const file = join(copy, "package", "dist", "tui", "full-view", "entry-row.js");
  const begin = /^export function entryRow\(entry.*\{$/m;
  const code = readFileSync(file, "utf8");
  expect(code).toMatch(begin);
  const fault = 'if (JSON.stringify(entry).includes("with a fault")) throw new Error("a fault of ours");';
  writeFileSync(
    file,
    code.replace(begin, (line) => `${line}\n${fault}`),
  );
  home = createHome({ modelUrl: model.url, plugins: [PACKAGE], tuiPlugins: [join(copy, "package")] });
});

afterAll(async () => {
  await home?.remove();
  await model?.stop();
  if (copy !== "") rmSync(copy, { recursive: true, force: true });
});

(hasTmux ? sandboxTest : test.skip)("a row that cannot be drawn says so, and OpenCode lives", async () => {
  const terminal = await startTui(home, { columns: 160, rows: 40 });
  try {
    await terminal.submit("start them");
    await terminal.waitForText(/Jobs 2▶/);
    await terminal.sendKeys("F6");
    await terminal.waitForText(/Running 2[\s\S]*› ● a run that works[\s\S]*Job: not shown \(a fault of ours\)/, 20_000);
    await terminal.sendKeys("Down", "t");
    await terminal.waitForText(/tree$/m);
    await terminal.sendKeys("Escape");
    await terminal.waitForText(/they have started/);
  } finally {
    await terminal.close();
  }
});
