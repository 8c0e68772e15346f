import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { toPage } from "../../src/dashboard/server/page-file.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { startDashboard } from "../support/dashboard.ts";
import { PACKAGE } from "../support/test-setup.ts";

/* The page in more tabs and windows than Chromium has connections for, and beside a server that does not answer. */

const HTML = readFileSync(join(PACKAGE, "dist/dashboard/page.html"), "utf8");
/** Connections that a browser has to one host. */
const CONNECTIONS = 6;

let browser: Browser;

/** A headless browser shows all its pages at once, so that they are told which of them is in sight. */
const show = (page: Page, isShown: boolean) =>
  page.evaluate(`
    Object.defineProperty(document, "visibilityState", { configurable: true, get: () => "${isShown ? "visible" : "hidden"}" });
    document.dispatchEvent(new Event("visibilitychange"));`);

async function openPages(context: BrowserContext, url: string, areTabs: boolean): Promise<Page[]> {
  const pages: Page[] = [];
  for (let n = 0; n < CONNECTIONS; n++) {
    for (const other of areTabs ? pages : []) await show(other, false);
    const page = await context.newPage();
    await page.goto(url);
    await connection(page).getByText("Live").waitFor();
    pages.push(page);
  }
  return pages;
}

const connection = (page: Page) => page.locator("header.top");

const outcome = (page: Page) => page.locator("aside").getByRole("status");

async function cancelJob(page: Page): Promise<void> {
  await page.locator(".bars .name").first().click();
  await page.getByRole("button", { name: "Cancel …" }).click();
  await page.getByRole("button", { name: "Cancel the job" }).click();
}

describe.skipIf(chromiumPath === null)("the dashboard's connections", () => {
  beforeAll(async () => {
    browser = await startChromium(chromiumPath as string);
  });
  afterAll(() => browser?.close());

  test("the tab in sight can always ask, and one that comes into sight follows again", async () => {
    await using server = await startDashboard({ page: toPage(HTML) });
    await using context = await browser.newContext();
    const pages = await openPages(context, server.dashboard.url, true);
    const [first, last] = [pages[0] as Page, pages.at(-1) as Page];
    await cancelJob(last);
    await outcome(last).getByText("Done.").waitFor();
    await show(last, false);
    server.lab.change("ses_1", { isLive: false });
    await show(first, true);
    await connection(first).getByText("Read only").waitFor();
    expect(server.lab.asked.filter(({ request }) => request.kind === "cancel")).toHaveLength(1);
  });

  test("with too many windows in sight an action is not kept for later, and the page says what to do", async () => {
    await using server = await startDashboard({ page: toPage(HTML) });
    await using context = await browser.newContext();
    const pages = await openPages(context, server.dashboard.url, false);
    const [first, last] = [pages[0] as Page, pages.at(-1) as Page];
    await cancelJob(last);
    await outcome(last).getByText("too many windows show it").waitFor();
    await first.close();
    await cancelJob(last);
    await outcome(last).getByText("Done.").waitFor();
    expect(server.lab.asked.filter(({ request }) => request.kind === "cancel")).toHaveLength(1);
  });

  test("a dashboard that has stopped answering is said to, in words", async () => {
    // Without timers there is no sign of life, as of a process that is suspended.
    const clock = { ...systemClock, after: () => () => {} };
    await using server = await startDashboard({ page: toPage(HTML), clock });
    await using context = await browser.newContext();
    const page = await context.newPage();
    await page.clock.install();
    await page.goto(server.dashboard.url);
    await connection(page).getByText("Live").waitFor();
    await page.clock.fastForward(31_000);
    await connection(page).getByText("Nothing was heard of the dashboard's command for 30 s").waitFor();
  });
});
