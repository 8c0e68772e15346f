import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { renderPage } from "../../src/report/html/page.ts";
import { chromiumPath, startChromium } from "../support/chromium.ts";
import { campaign, sampleReport } from "../unit/report/sample.ts";

test.if(chromiumPath !== null)(
  "fits a telephone: only its tables and pictures are wider, and scroll by themselves",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "report-page-"));
    const path = join(folder, "report.html");
    writeFileSync(path, renderPage(sampleReport(campaign(20))));
    const browser = await startChromium(chromiumPath ?? "");
    try {
      const page = await browser.newPage({ viewport: { width: 360, height: 700 } });
      await page.goto(`file://${path}`);
      const overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth");
      const marks = await page.evaluate(
        "Math.max(...[...document.querySelectorAll('.legend svg')].map((one) => one.clientWidth))",
      );
      expect([overflow, marks]).toEqual([0, 12]);
    } finally {
      await browser.close();
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
