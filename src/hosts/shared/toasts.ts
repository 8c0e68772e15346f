import { formatUsd, type Spend } from "../../core/budget.ts";
import type { Job } from "../../core/job.ts";
import { BATCH_WINDOW_MS } from "../../core/notice.ts";
import type { UndoneStarts } from "../../jobs/execution/undone-jobs.ts";
import { renderCounts } from "../../prompt/job-list.ts";
import { renderGone, renderUndone } from "../../prompt/undone.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import type { Clock } from "../../shared/clock.ts";
import { oneLine, plainText } from "../../shared/plain-text.ts";
import { describeLocation, isIsolated } from "../../views/location.ts";
import type { RuntimeAccess } from "./runtime-access.ts";

export const TOAST_TITLE = "Parallel agents";

/** A message that the host shows for a few seconds. */
export interface Toast {
  readonly title: string;
  readonly message: string;
  readonly variant: "info" | "success" | "warning" | "error";
}

/** What the user is told outside of any conversation. */
export interface Toasts {
  /** Says, once and in the background, what is wrong with the options: unusable, ignored, or without isolation. */
  optionsRead(access: RuntimeAccess): void;
  /** Says, once, where jobs run: Modal costs money, this machine its own power. */
  jobsStarting(access: RuntimeAccess): void;
  /** Says that a job has ended; ends close together share one toast. */
  jobEnded(job: Job): void;
  /** Says what becomes of jobs whose start the user has undone. */
  undone(starts: UndoneStarts): void;
  /** Says that a session has spent most of its budget. */
  budgetLow(spend: Spend, ceilingUsd: number): void;
  /** Says that records were lost. */
  damaged(notice: string): void;
}

export interface ToastsDeps {
  /** May reject where nobody shows toasts, which is no failure. */
  readonly show: (toast: Toast) => Promise<unknown>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
}

/** Hundreds of runs end one after another: nobody wants a toast for each. */
const RUNS_WINDOW_MS = 30_000;
/** Of a toast; above it, it counts. */
const MOST_LINES = 8;

export function createToasts({ show, env, clock }: ToastsDeps): Toasts {
  const shown = new Set<string>();
  const endedAgents: Job[] = [];
  const endedRuns: Job[] = [];
  const toast = (message: string, variant: Toast["variant"]) => show({ title: TOAST_TITLE, message, variant });
  const once = (what: string, tell: () => Promise<void>) => {
    if (shown.has(what)) return;
    shown.add(what);
    void tell().catch(() => {});
  };
  return {
    optionsRead: (access) =>
      once("options", async () => {
        const loaded = await access.options();
        if (loaded.kind === "invalid") {
          await toast(plainText(loaded.message), "error");
          return;
        }
        const { provider, local } = loaded.options;
        const { name } = chooseProvider({ provider }, env);
        const place = isIsolated(name, local) ? [] : [`Jobs run ${describeLocation(name, local)}.`];
        for (const message of [...place, ...loaded.notices]) await toast(plainText(message), "warning");
      }),
    jobsStarting: (access) =>
      once("provider", async () => {
        const loaded = await access.options();
        if (loaded.kind === "invalid") return;
        const { name, why } = chooseProvider(loaded.options, env);
        const { local } = loaded.options;
        if (!isIsolated(name, local)) return; // told with the first message already, in stronger words
        const message = `Jobs run ${describeLocation(name, local)}: ${why}`;
        await toast(message, "info");
      }),
    undone({ kind, jobs }) {
      void toast(plainText(kind === "undone" ? renderUndone(jobs) : renderGone(jobs)), "warning").catch(() => {});
    },
    budgetLow(spend, ceilingUsd) {
      const message = `A session's jobs have spent ${formatUsd(spend.usd)} of ${formatUsd(ceilingUsd)}; at the ceiling they are stopped, their files kept.`;
      void toast(message, "warning").catch(() => {});
    },
    damaged: (notice) => void toast(plainText(notice), "error").catch(() => {}),
    jobEnded(job) {
      const batch = job.task.run ? endedRuns : endedAgents;
      if (batch.push(job) > 1) return;
      clock.after(job.task.run ? RUNS_WINDOW_MS : BATCH_WINDOW_MS, () => {
        const jobs = batch.splice(0);
        const variant = jobs.every(({ state }) => state.kind === "completed") ? "success" : "warning";
        const lines = jobs.map(({ task, state }) => `${oneLine(task.description, 100)}: ${state.kind}`);
        const message =
          lines.length > MOST_LINES
            ? `${jobs.length} jobs have ended: ${renderCounts(jobs.map(({ state }) => ({ state: state.kind })))}`
            : lines.join("\n");
        void toast(message, variant).catch(() => {});
      });
    },
  };
}
