import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { startModelServer } from "../support/model-server.ts";
import { createHome, type OpencodeHome, repositoryRoot } from "../support/opencode-home.ts";
import { PACKAGE } from "../support/test-setup.ts";
import { hasTmux, startTui, type Terminal } from "../support/tmux.ts";
import { campaignModel, PROMPT, TITLE } from "./campaign.ts";
import { openDashboard, takeDashboard } from "./dashboard.ts";
import { shrinkPng } from "./small-png.ts";
import { drawTerminal } from "./terminal-svg.ts";

/*
 * Makes the pictures of the README: the real OpenCode in a terminal and the real dashboard, while real jobs run in local
 * sandboxes. Needs bubblewrap, tmux and Chromium, and the built package.
 */

const FOLDER = join(repositoryRoot, "docs/images");
const PROJECT = join(import.meta.dirname, "project");
/** Pixels of the picture for one of the layout. */
const SCALE = 2;
/** The narrowest terminal in which OpenCode shows its sidebar, and a little. */
const [COLUMNS, ROWS] = [126, 34];
const DASHBOARD = { width: 1180, height: 900 };
const MODES = ["dark", "light"] as const;

if (!hasTmux || chromiumPath === null)
  throw new Error("The pictures need tmux and Chromium, and one is not installed.");
const model = await startModelServer(campaignModel, TITLE);
const home = createHome({
  modelUrl: model.url,
  plugins: [[PACKAGE, { maxRunningJobs: 6, parkAfterSeconds: 0, provider: "local" }]],
  tuiPlugins: [PACKAGE],
  files: Object.fromEntries(readdirSync(PROJECT).map((name) => [name, readFileSync(join(PROJECT, name), "utf8")])),
  projectFolder: "home/spirals",
  config: { provider: { mock: { name: "offline", models: { m1: { name: "Scripted model" } } } } },
});
const browser = await startChromium(chromiumPath);
try {
  mkdirSync(FOLDER, { recursive: true });
  const terminal = await startTui(home, { columns: COLUMNS, rows: ROWS });
  try {
    await terminal.submit(PROMPT);
    await takeAll(terminal, home, browser);
  } finally {
    await terminal.close();
  }
} finally {
  await browser.close();
  await home.remove();
  await model.stop();
}

async function takeAll(terminal: Terminal, { stateDir, project }: OpencodeHome, browser: Browser): Promise<void> {
  await terminal.waitForText(/Jobs [56]▶[^\n]*1✗[\s\S]*momentum 0\.8 trains/, 180_000);
  await terminal.waitForText(/^(?![\s\S]*◌)[\s\S]*✓ [3-9] more are done/, 180_000);
  const screens: Record<string, string> = {};
  for (const mode of MODES) {
    if (mode === "light") await toLight(terminal);
    await terminal.waitForText(/sweep at width 32 \d+ runs[\s\S]*cross-check with PyTorch failed/); // the conversation is drawn anew
    screens[`terminal-${mode}`] = terminal.captureColours();
    await terminal.sendKeys("F6");
    await terminal.waitForText("Needs you 1");
    await terminal.sendKeys("Home", "Down", "Down", "Down");
    await terminal.waitForText(/^(?=[\s\S]*› [●✓] sweep)[\s\S]*Metrics/);
    screens[`jobs-${mode}`] = terminal.captureColours();
    await terminal.sendKeys("q");
    await terminal.waitForText("Context");
  }
  await using dashboard = await openDashboard(stateDir, project);
  const pictures: Record<string, Buffer> = {};
  for (const mode of MODES) {
    const page = await browser.newPage({ colorScheme: mode, deviceScaleFactor: 1.5, viewport: DASHBOARD });
    pictures[`dashboard-${mode}`] = await takeDashboard(page, dashboard.url);
    await page.close();
  }
  const page = await browser.newPage({ deviceScaleFactor: SCALE });
  for (const [name, screen] of Object.entries(screens)) {
    const { svg, width, height } = drawTerminal(screen);
    await page.setViewportSize({ width: Math.ceil(width), height: Math.ceil(height) });
    await page.setContent(`<body style="margin:0">${svg}`);
    pictures[name] = await page.screenshot();
  }
  await page.goto("about:blank");
  for (const [name, png] of Object.entries(pictures)) {
    const small = await shrinkPng(page, png);
    writeFileSync(join(FOLDER, `${name}.png`), small);
    console.log(`docs/images/${name}.png: ${Math.round(small.length / 1024)} KiB`);
  }
}

async function toLight(terminal: Terminal): Promise<void> {
  await terminal.sendKeys("C-p");
  await terminal.waitForText("Commands");
  await terminal.sendText("light mode");
  await terminal.waitForText("Switch to light mode");
  await terminal.sendKeys("Enter");
  await terminal.waitForNoText("Switch to light mode");
}
