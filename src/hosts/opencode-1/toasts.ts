import { type Spend, usd } from "../../jobs/core/budget.ts";
import type { Job } from "../../jobs/core/job.ts";
import { TOGETHER_MS } from "../../jobs/core/notice.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import type { Clock } from "../../shared/clock.ts";
import { oneLine, plainText } from "../../shared/plain-text.ts";
import { isIsolated, placeOf } from "../../views/place.ts";
import type { HostClient } from "./host-client.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

const TITLE = "Parallel agents";

export interface Toasts {
  /**
   * Tells the user, once and in the background, what is wrong with the options: not usable, ignored as the project's, or
   * without isolation.
   */
  optionsRead(access: RuntimeAccess): void;
  /** Tells the user, once, where jobs run: one place costs money, the other this machine's power. */
  jobsStarting(access: RuntimeAccess): void;
  /** Tells the user that a job has ended; several at once in one toast. */
  jobEnded(job: Job): void;
  /** Warns the user of what a session has spent. */
  budgetLow(spend: Spend, ceilingUsd: number): void;
}

/** Without a terminal UI nobody shows them, which is no failure. */
export function createToasts(
  client: HostClient,
  env: Readonly<Record<string, string | undefined>>,
  clock: Clock,
): Toasts {
  const shown = new Set<string>();
  const ended: Job[] = [];
  const once = (what: string, show: () => Promise<void>) => {
    if (shown.has(what)) return;
    shown.add(what);
    void show().catch(() => {});
  };
  return {
    optionsRead: (access) =>
      once("options", async () => {
        const loaded = await access.options();
        if (loaded.kind === "invalid") {
          await client.tui.showToast({ title: TITLE, message: plainText(loaded.message), variant: "error" });
          return;
        }
        const { provider, local } = loaded.options;
        const { name } = chooseProvider({ provider }, env);
        const place = isIsolated(name, local) ? [] : [`Jobs run ${placeOf(name, local)}.`];
        for (const message of [...place, ...loaded.notices])
          await client.tui.showToast({ title: TITLE, message: plainText(message), variant: "warning" });
      }),
    jobsStarting: (access) =>
      once("provider", async () => {
        const loaded = await access.options();
        if (loaded.kind === "invalid") return;
        const { name, why } = chooseProvider(loaded.options, env);
        const { local } = loaded.options;
        if (!isIsolated(name, local)) return; // that was told with the first message, and in stronger words
        const message = `Jobs run ${placeOf(name, local)}: ${why}`;
        await client.tui.showToast({ title: TITLE, message, variant: "info" });
      }),
    budgetLow(spend, ceilingUsd) {
      const message = `A session's jobs have spent ${usd(spend.usd)} of ${usd(ceilingUsd)}; at the ceiling they are stopped, their files kept.`;
      void client.tui.showToast({ title: TITLE, message, variant: "warning" }).catch(() => {});
    },
    jobEnded(job) {
      if (ended.push(job) > 1) return;
      clock.after(TOGETHER_MS, () => {
        const jobs = ended.splice(0);
        const variant = jobs.every(({ state }) => state.kind === "completed") ? "success" : "warning";
        const message = jobs.map(({ task, state }) => `${oneLine(task.description, 100)}: ${state.kind}`).join("\n");
        void client.tui.showToast({ title: TITLE, message, variant }).catch(() => {});
      });
    },
  };
}
