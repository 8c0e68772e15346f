import type { JobView } from "../views/job-view.ts";
import type { LabView } from "../views/lab-view.ts";
import { countsOf, dollars, errorOf } from "./format.ts";
import type { LabChange } from "./lab-source.ts";
import { cut } from "./text.ts";
import type { Ui } from "./ui.ts";

/**
 * Asks for the user's attention, as the user has set it up in OpenCode: nothing is sent unless they have, nor while they look
 * at the terminal, which shows a toast then.
 */
export function registerAttention({ api, source, clock }: Ui): void {
  const turns = createTurns(() => clock.now());
  const failureTold = new Set<string>();
  api.event.on("session.status", ({ properties: { sessionID, status } }) =>
    turns.hear(sessionID, status.type !== "idle"),
  );
  source.onChange((change) => {
    const { session } = change.after;
    const news = newsOf(change, {
      isFailureTold: failureTold.has(session),
      wasAtWork: (at) => turns.wasAtWork(session, at),
    });
    if (!isUnderWay(change.after)) failureTold.delete(session);
    else if (news.failure !== null) failureTold.add(session);
    for (const message of [news.failure, news.batch, news.budget])
      if (message !== null) void api.attention.notify({ title: "Jobs", message, sound: false }).catch(() => {});
  });
}

/** What was told before, or is told by the host. */
export interface ToldOtherwise {
  /** A failure since the session's jobs were under way: one is told, the others are counted at their end. */
  readonly isFailureTold: boolean;
  /** Whether a turn of the session was under way, whose end the host tells. @param at epoch ms */
  wasAtWork(at: number): boolean;
}

export interface News {
  readonly failure: string | null;
  readonly batch: string | null;
  readonly budget: string | null;
}

/**
 * What the host cannot know and so cannot tell: the end of the last job of a batch, the failure of a job without a
 * conversation, and the budget. The end of a conversation it tells itself.
 */
export function newsOf({ before, after }: LabChange, told: ToldOtherwise): News {
  if (before === null) return NO_NEWS; // what was there before anyone looked is no news
  const hasEnded = isUnderWay(before) && !isUnderWay(after);
  return {
    failure: hasEnded || told.isFailureTold ? null : failureNews(before, after),
    batch: hasEnded && !told.wasAtWork(lastEndOf(after)) ? batchNews(after) : null,
    budget: budgetNews(before, after),
  };
}

const NO_NEWS: News = { failure: null, batch: null, budget: null };

function failureNews(before: LabView, after: LabView): string | null {
  const [first, ...others] = after.jobs.filter(
    (job) => job.state === "failed" && job.sessionID === undefined && stateIn(before, job.id) !== "failed",
  );
  if (!first) return null;
  const also = others.length === 0 ? "" : ` ${others.length} more failed.`;
  return `"${cut(first.description, 60)}" failed: ${cut(errorOf(first), 150)}.${also}`;
}

function batchNews(after: LabView): string | null {
  const { completed, failed, cancelled, interrupted } = countsOf(after);
  if (interrupted > 0) return null;
  const counts = [
    `${completed} done`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
  ];
  const cost = dollars(after.spend.usd);
  return `All jobs have ended: ${counts.join(", ")}${cost === "" ? "" : `, ${cost}`}.`;
}

function budgetNews({ spend: before }: LabView, { spend: after }: LabView): string | null {
  const { budgetUsd } = after;
  if (budgetUsd === null) return null;
  const passed = SHARES.findLast((share) => before.usd < share * budgetUsd && after.usd >= share * budgetUsd);
  if (passed === undefined) return null;
  return `The jobs of a session have spent ${dollars(after.usd)} of their ${dollars(budgetUsd)}.`;
}

/** When sessions were at work last, by what the host says of them. */
export function createTurns(now: () => number) {
  const turns = new Map<string, { readonly from: number; readonly to: number }>();
  return {
    hear(session: string, isBusy: boolean): void {
      const known = turns.get(session);
      if (!isBusy && known?.to === Infinity) turns.set(session, { from: known.from, to: now() });
      else if (isBusy && known?.to !== Infinity) turns.set(session, { from: now(), to: Infinity });
    },
    wasAtWork(session: string, at: number): boolean {
      const turn = turns.get(session);
      return turn !== undefined && turn.from <= at && at <= turn.to;
    },
  };
}

const lastEndOf = ({ jobs }: LabView): number =>
  jobs.reduce((last, { endedAt }) => (endedAt === undefined ? last : Math.max(last, Date.parse(endedAt))), 0);

const stateIn = ({ jobs }: LabView, id: string) => jobs.find((job) => job.id === id)?.state;

const isUnderWay = ({ jobs }: LabView): boolean => jobs.some(({ state }) => UNDER_WAY.has(state));

const UNDER_WAY: ReadonlySet<JobView["state"]> = new Set(["queued", "starting", "running"]);

/** Shares of the budget that are told when they are passed. */
const SHARES = [0.8, 1] as const;
