import type { JobView } from "../views/job-view.ts";
import type { LabView } from "../views/lab-view.ts";
import { countsOf, dollars, errorOf } from "./format.ts";
import type { LabChange } from "./lab-source.ts";
import { cut } from "./text.ts";
import type { Ui } from "./ui.ts";

/** Asks for the user's attention, as the user has set it up in OpenCode: nothing is sent unless they have. */
export function registerAttention({ api, source }: Ui): void {
  source.onChange((change) => {
    for (const message of newsOf(change))
      void api.attention.notify({ title: "Jobs", message, sound: false }).catch(() => {});
  });
}

/**
 * What the host cannot know and so cannot tell: the end of the last job of a batch, the failure of a job without a
 * conversation, and the budget. The end of a conversation it tells itself.
 */
export function newsOf({ before, after }: LabChange): readonly string[] {
  if (before === null) return []; // what was there before anyone looked is no news
  const failed = after.jobs.filter(
    (job) => job.state === "failed" && job.sessionID === undefined && stateIn(before, job.id) !== "failed",
  );
  return [...failureNews(failed), ...batchNews(before, after), ...budgetNews(before, after)];
}

function failureNews([first, ...others]: readonly JobView[]): readonly string[] {
  if (!first) return [];
  const also = others.length === 0 ? "" : ` ${others.length} more failed.`;
  return [`"${cut(first.description, 60)}" failed: ${cut(errorOf(first), 150)}.${also}`];
}

function batchNews(before: LabView, after: LabView): readonly string[] {
  if (!isUnderWay(before) || isUnderWay(after)) return [];
  const { completed, failed, cancelled, interrupted } = countsOf(after);
  if (interrupted > 0) return [];
  const counts = [
    `${completed} done`,
    ...(failed > 0 ? [`${failed} failed`] : []),
    ...(cancelled > 0 ? [`${cancelled} cancelled`] : []),
  ];
  const cost = dollars(after.spend.usd);
  return [`All jobs have ended: ${counts.join(", ")}${cost === "" ? "" : `, ${cost}`}.`];
}

function budgetNews({ spend: before }: LabView, { spend: after }: LabView): readonly string[] {
  const { budgetUsd } = after;
  if (budgetUsd === null) return [];
  const passed = SHARES.findLast((share) => before.usd < share * budgetUsd && after.usd >= share * budgetUsd);
  if (passed === undefined) return [];
  return [`The jobs of a session have spent ${dollars(after.usd)} of their ${dollars(budgetUsd)}.`];
}

const stateIn = ({ jobs }: LabView, id: string) => jobs.find((job) => job.id === id)?.state;

const isUnderWay = (view: LabView): boolean => {
  const { running, queued } = countsOf(view);
  return running + queued > 0;
};

/** Shares of the budget that are told when they are passed. */
const SHARES = [0.8, 1] as const;
