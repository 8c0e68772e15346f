import { plainText } from "../../shared/plain-text.ts";
import type { JobView } from "../../views/job-view.ts";

/** Which states are shown; the key for it goes through them in this order. */
export const SHOWN = ["all", "running and failed", "running", "failed"] as const;
export type Show = (typeof SHOWN)[number];

export const nextShown = (show: Show): Show => SHOWN[(SHOWN.indexOf(show) + 1) % SHOWN.length] as Show;

export const isShown = (job: JobView, { show, filter }: { readonly show: Show; readonly filter: string }): boolean =>
  isInState(job, show) && matches(job, filter);

function isInState({ state }: JobView, show: Show): boolean {
  const isRunning = state === "running" || state === "starting";
  if (show === "running") return isRunning;
  if (show === "failed") return state === "failed";
  return show === "all" || isRunning || state === "failed";
}

/** Whether each word of a filter is somewhere in what is shown of a job. Case does not matter. */
export function matches(job: JobView, filter: string): boolean {
  const words = plainText(filter).toLowerCase().split(/\s+/u).filter(Boolean);
  if (words.length === 0) return true;
  const text = plainText(searchedTextOf(job)).toLowerCase();
  return words.every((word) => text.includes(word));
}

const searchedTextOf = (job: JobView): string =>
  [
    job.id,
    job.kind,
    job.description,
    job.state,
    job.agent,
    job.model,
    job.environment,
    job.provider,
    job.gpu,
    job.tool,
    job.status,
    job.reason,
    job.error?.code,
    job.error?.message,
    ...Object.entries(job.params ?? {}).map(([name, value]) => `${name}=${value}`),
    ...Object.keys(job.metrics),
  ]
    .filter((text) => text !== undefined)
    .join("\n");
