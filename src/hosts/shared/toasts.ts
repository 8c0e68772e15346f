import type { Spend } from "../../core/budget.ts";
import { isEnded, type Job } from "../../core/job.ts";
import type { UndoneStarts } from "../../jobs/execution/undone-jobs.ts";
import { renderCounts } from "../../prompt/job-list.ts";
import { renderGone, renderUndone } from "../../prompt/undone.ts";
import { chooseProvider } from "../../providers/provider-choice.ts";
import type { Clock } from "../../shared/clock.ts";
import { oneLine, plainText } from "../../shared/plain-text.ts";
import { formatUsd } from "../../shared/usd.ts";
import { describeLocation, isIsolated } from "../../views/location.ts";
import type { EndedIn, RuntimeAccess } from "./runtime-access.ts";

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
  /** Says what an ended job needs a person for; ends close together share one toast. */
  jobEnded(job: Job, session: EndedIn): void;
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

/** Jobs end one after another: nobody wants a toast for each. */
const WINDOW_MS = 2_000;
/** Of a toast; above it, it counts. */
const MOST_LINES = 8;

/** What of an ended job a toast says. */
interface End {
  readonly state: "completed" | "failed" | "cancelled";
  readonly line: string;
}

export function createToasts({ show, env, clock }: ToastsDeps): Toasts {
  const shown = new Set<string>();
  /** By session: ends since its last toast, and since its agent was last at work when all had ended. */
  const ended = new Map<string, End[]>();
  /** Sessions that a toast is about to tell of. */
  const telling = new Set<string>();
  const toast = (message: string, variant: Toast["variant"]) => show({ title: TOAST_TITLE, message, variant });
  const once = (what: string, tell: () => Promise<void>) => {
    if (shown.has(what)) return;
    shown.add(what);
    void tell().catch(() => {});
  };
  function tellLater(orchestrator: string, isAll: () => boolean): void {
    if (telling.has(orchestrator)) return;
    telling.add(orchestrator);
    clock.after(WINDOW_MS, () => {
      telling.delete(orchestrator);
      const ends = ended.get(orchestrator) ?? [];
      const told = isAll() ? ends : ends.filter(({ state }) => state === "failed");
      ended.set(
        orchestrator,
        ends.filter((end) => !told.includes(end)),
      );
      // Whoever has cancelled them knows.
      if (told.every(({ state }) => state === "cancelled")) return;
      const variant = told.every(({ state }) => state === "completed") ? "success" : "warning";
      const text = told.map(({ line }) => line).join("\n");
      const counts = `${told.length} jobs have ended: ${renderCounts(told)}`;
      void toast(told.length > MOST_LINES ? counts : text, variant).catch(() => {});
    });
  }
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
    jobEnded(job, { open, resume, isBusy }) {
      const { orchestrator } = job;
      const end = endOf(job);
      if (!end) return;
      const ends = ended.get(orchestrator) ?? [];
      ends.push(end);
      ended.set(orchestrator, ends);
      const isUntold = end.state === "failed" && job.startedBy === null && !resume;
      if (open() > 0 && !isUntold) return; // its agent is told, and the list in the conversation shows it
      void isBusy()
        .then((busy) => {
          if (busy)
            ended.delete(orchestrator); // what is under way is told, and its own end is what the user waits for
          else tellLater(orchestrator, () => open() === 0);
        })
        .catch(() => {});
    },
  };
}

function endOf({ task, state }: Job): End | null {
  if (!isEnded(state)) return null;
  const why = state.kind === "failed" ? ` (${state.failure.code})` : "";
  return { state: state.kind, line: `${oneLine(task.description, 100)}: ${state.kind}${why}` };
}
