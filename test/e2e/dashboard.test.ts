import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import axe from "axe-core";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { toPage } from "../../src/dashboard/server/page-file.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { startDashboard } from "../support/dashboard.ts";
import { createLargeLab, HOSTILE } from "../support/large-lab.ts";
import { until } from "../support/wait.ts";

/*
 * The built page in Chromium, with 200 jobs and 5,000 experiments. One browser and one server for all tests.
 */

const HTML = readFileSync(join(import.meta.dirname, "../../dist/dashboard/page.html"), "utf8");
if (chromiumPath === null) console.log("The dashboard is not tried in a browser: Chromium is not installed.");

const KEPT = {
  kind: "kept",
  files: [{ change: "M", path: HOSTILE }],
  diff: `diff --git a/x b/x\n@@ -1 +1 @@\n-old\n+${HOSTILE}\n`,
  isCut: true,
} as const;

let browser: Browser;
let dashboard: Awaited<ReturnType<typeof startDashboard>>;
const lab = createLargeLab(200, 5_000);
/** Every address that any page asked for. */
const requested: string[] = [];

interface Opened extends AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
}

async function open(options: Parameters<Browser["newContext"]>[0] = {}): Promise<Opened> {
  const context = await browser.newContext({ viewport: { width: 1300, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("request", (request) => void requested.push(request.url()));
  page.on("pageerror", (error) => console.log("page:", error.stack));
  await page.goto(dashboard.dashboard.url);
  await page.locator("table.ledger").waitFor();
  return { page, context, [Symbol.asyncDispose]: () => context.close() };
}

/** What axe-core finds, as sentences. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const results = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
  const { violations } = results as { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] };
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
}

test("the page is one small file that names no other address", () => {
  expect(gzipSync(HTML, { level: 9 }).length).toBeLessThan(34 * 1024);
  expect(HTML.match(/(?:src|href)=["'](?!data:,)|url\(|@import/g)).toBeNull();
});

describe.skipIf(chromiumPath === null)("the dashboard in Chromium", () => {
  beforeAll(async () => {
    [browser, dashboard] = await Promise.all([
      startChromium(chromiumPath as string),
      startDashboard({ lab, page: toPage(HTML), readWork: async () => KEPT }),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await dashboard?.[Symbol.asyncDispose]();
  });

  test("shows a change when it happens, draws no more rows than are in sight, and stays quick", async () => {
    await using opened = await open();
    const { page } = opened;
    const job = lab.view("ses_large")?.jobs ?? [];
    await page.evaluate(`
      window.frames_ = []; let last = performance.now();
      const beat = (now) => { frames_.push(now - last); last = now; requestAnimationFrame(beat); };
      requestAnimationFrame(beat);`);
    const ledger = page.locator("section.rows", { has: page.locator("table.ledger") });
    for (let step = 1; step <= 20; step++) {
      await ledger.evaluate((element, top) => element.scrollTo(0, top), step * 6_500);
      lab.change("ses_large", {
        jobs: job.map((one, index) => (index % 20 === step ? { ...one, status: `step ${step}` } : one)),
      });
    }
    await ledger.getByText("depth 7 lr=", { exact: false }).first().waitFor();
    expect(await page.locator("tr, .bars li").count()).toBeLessThan(100);
    const since = performance.now();
    lab.change("ses_large", {
      jobs: [...job.slice(0, 199), { ...(job[199] as (typeof job)[0]), description: "just changed" }],
    });
    await page.locator(".bars").getByText("just changed").waitFor();
    const took = Math.round(performance.now() - since);
    const frames = (await page.evaluate("frames_")) as number[];
    const longest = Math.round(Math.max(...frames));
    console.log(`A change was seen after ${took} ms; the longest of ${frames.length} frames took ${longest} ms.`);
    lab.change("ses_large", { jobs: job });
  });

  test("shows text of jobs as text, wherever it comes from", async () => {
    await using opened = await open();
    const { page } = opened;
    await page.getByLabel("Filter jobs by").fill("alert(1)");
    await page.locator(".bars .name").click();
    await page.getByLabel("Changes of the job's files").getByText("<script>alert(1)</script>").waitFor();
    for (const name of ["Table of jobs", "Table of lineage", "Table of cost against metric"])
      await page.getByRole("button", { name }).click();
    const text = (await page.locator("body").textContent()) ?? "";
    expect(text.split("<img src=x").length).toBeGreaterThan(5);
    for (const invisible of ["\u202e", "\u001b"]) expect(text).not.toContain(invisible);
    expect(await page.locator("img, iframe, object, #app script").count()).toBe(0);
    expect(await page.title()).toBe("Parallel agents");
  });

  test("is worked by keys alone: a job's details, an action and its confirmation, and the way back", async () => {
    await using opened = await open();
    const { page } = opened;
    const { keyboard } = page;
    const focused = () => page.evaluate("document.activeElement.textContent.slice(0, 100)") as Promise<string>;
    const tabTo = async (text: string) => {
      await page.getByText(text).first().waitFor(); // the page may still be drawing it
      for (let n = 0; n < 60 && !(await focused()).startsWith(text); n++) await keyboard.press("Tab");
      expect(await focused()).toStartWith(text);
    };
    await page.getByLabel("Filter jobs by").focus();
    await keyboard.type("running");
    await page.locator(".bars").getByText("seed=199").waitFor({ state: "hidden" }); // it does not run
    await tabTo("lr=5e-4 depth=8 seed=194");
    await keyboard.press("Enter");
    await page.getByRole("heading", { name: "seed=194" }).waitFor();
    await tabTo("Cancel …");
    await keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo("Let it go on");
    await keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "hidden" });
    const actions = () => lab.asked.filter(({ request }) => request.kind !== "output");
    expect(actions()).toEqual([]);
    await tabTo("Cancel …");
    lab.answer = () => ({
      kind: "refused",
      code: "not_found",
      message: "No OpenCode process has this session in use.",
    });
    await keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await tabTo("Cancel the job");
    await keyboard.press("Enter");
    await page.locator("aside").getByText("No OpenCode process has this session in use.").first().waitFor();
    expect(actions()).toEqual([{ session: "ses_large", request: { kind: "cancel", jobs: ["job_194"] } }]);
    await keyboard.press("Escape");
    await until(async () => (await focused()).startsWith("lr=5e-4 depth=8 seed=194"), {
      what: "the job's row has the focus again",
    });
  });

  test("has nothing that axe-core finds, as charts and as tables, light and dark, and fits a phone", async () => {
    await using light = await open();
    await light.page.locator(".bars .name").first().click();
    await light.page.locator("aside .diff").waitFor();
    expect(await findings(light.page)).toEqual([]);
    await using dark = await open({ colorScheme: "dark", viewport: { width: 390, height: 844 } });
    const tables = dark.page.getByRole("button", { name: /^Table of/ });
    for (const table of await tables.all()) await table.click();
    expect(await findings(dark.page)).toEqual([]);
    expect((await dark.page.evaluate("document.documentElement.scrollWidth")) as number).toBe(390);
  });

  test("keeps the token out of the address, survives a reload, and asks nobody but its own server", async () => {
    await using opened = await open();
    const { page, context } = opened;
    const own = `http://127.0.0.1:${dashboard.port}/`;
    expect(page.url()).toBe(own);
    await page.reload();
    await page.locator("table.ledger").waitFor();
    expect(page.url()).toBe(own);
    expect(await context.cookies()).toEqual([]);
    const other = await context.newPage();
    await other.goto(own);
    expect(await other.title()).toBe("Parallel agents");
    await other.getByText("The token is missing or wrong").waitFor();
    expect(requested.filter((url) => !url.startsWith(own) && url !== "data:,")).toEqual([]);
  });
});
