import { join } from "node:path";
import type { Page } from "playwright-core";
import { startProcess } from "../support/child-process.ts";
import { repositoryRoot } from "../support/opencode-home.ts";
import { until } from "../support/wait.ts";

/** The dashboard as users start it. */
export async function openDashboard(
  stateDir: string,
  project: string,
): Promise<AsyncDisposable & { readonly url: string }> {
  const command = join(repositoryRoot, "dist/cli/main.js");
  const served = await startProcess(command, ["dashboard", "--json", "--state-dir", stateDir], {
    cwd: project,
    env: process.env as Record<string, string>,
    name: "dashboard",
  });
  const line = await until(() => /^\{.*\}$/m.exec(served.stdout())?.[0], {
    what: "the dashboard tells its address",
    seen: () => served.stderr(),
  });
  return {
    url: JSON.parse(line).url as string,
    async [Symbol.asyncDispose]() {
      await served.stop();
    },
  };
}

/** From the head of the page to its experiments, once the best of them has ended. */
export async function takeDashboard(page: Page, url: string): Promise<Buffer> {
  await page.goto(url);
  await page
    .locator("table.ledger tr", { hasText: "LR=0.1" })
    .filter({ hasText: "better" })
    .waitFor({ timeout: 120_000 });
  const experiments = page.locator("section.rows", { has: page.locator("table.ledger") });
  const { y, height } = (await experiments.boundingBox()) ?? { y: 0, height: 0 };
  const { width } = page.viewportSize() ?? { width: 0 };
  return page.screenshot({ fullPage: true, clip: { x: 0, y: 0, width, height: Math.ceil(y + height) + PADDING } });
}

/** Below the experiments: their card's, and as much of the page as is at its sides. */
const PADDING = 30;
