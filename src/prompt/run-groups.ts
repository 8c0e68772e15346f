import { spendOf } from "../core/budget.ts";
import { isEnded, type Job } from "../core/job.ts";
import { describeParams } from "../core/matrix.ts";
import { bestOf, type FoldedRuns } from "../core/run-groups.ts";
import { perList } from "../core/stable-lists.ts";
import { countStates } from "../core/state-counts.ts";
import { formatUsd } from "../shared/usd.ts";
import { renderFailures } from "./failures-alike.ts";
import { DESCRIPTION_LIMIT, renderMetric, renderStates } from "./job-list.ts";
import { toFact } from "./quoted-text.ts";
import { toFailedRun } from "./run-table.ts";

/** Bytes of the lines about one group's failures, and those of all groups together. */
const FAILURES = 1_500;
const GROUPS_LIMIT = 12_000;

/** Runs that are shown together, the newest groups first: a line for each, with what it has come to, and its failures by their causes. */
export function renderGroups(folded: readonly FoldedRuns[], now: number): string[] {
  const failures = Math.floor(Math.min(FAILURES, GROUPS_LIMIT / Math.max(1, folded.length) / 2));
  const lines: string[] = [];
  let left = GROUPS_LIMIT;
  for (const [index, group] of folded.toReversed().entries()) {
    const own = renderGroup(group, failures, now);
    left -= Buffer.byteLength(own.join("\n")) + 1;
    if (left < 0) {
      const others = folded.slice(0, folded.length - index);
      const count = others.reduce((sum, { runs }) => sum + runs.length, 0);
      return [...lines, `and ${others.length} older groups of ${count} runs`];
    }
    lines.push(...own);
  }
  return lines;
}

function renderGroup({ label, starter, runs }: FoldedRuns, bytes: number, now: number): string[] {
  const [first] = runs;
  const { usd } = spendOf(runs, now);
  const count = `${runs.length} runs${starter === null ? "" : ` that ${starter} started`}`;
  const facts = [
    `${count}: ${renderStates(statesOf(runs))}`,
    ...renderBest(runs),
    ...(usd > 0 ? [`cost ${formatUsd(usd)}`] : []),
    `${first?.id ?? ""} … ${runs.at(-1)?.id ?? ""}`,
  ];
  const name = label === null ? "runs of several tasks" : toFact(label, DESCRIPTION_LIMIT);
  return [
    `${starter === null ? `${name}: ` : ""}${facts.join(" · ")}`,
    ...renderFailures(failedOf(runs), bytes).map((line) => `  ${line}`),
  ];
}

const statesOf = perList(countStates);
const failedOf = perList((runs: readonly Job[]) =>
  runs.filter(({ state }) => state.kind === "failed").map(toFailedRun),
);
const areEnded = perList((runs: readonly Job[]) => runs.every(({ state }) => isEnded(state)));

/** "best so far loss 2.25 @2000 of job_7 (LR=0.1)" */
function renderBest(runs: readonly Job[]): string[] {
  const best = bestOf(runs);
  const value = best?.job.metrics[best.metric];
  if (!best || !value) return [];
  const params = toFact(describeParams(best.job.task.run?.params ?? {}), DESCRIPTION_LIMIT);
  const soFar = areEnded(runs) ? "best" : "best so far";
  return [`${soFar} ${renderMetric(best.metric, value)} of ${best.job.id}${params === "" ? "" : ` (${params})`}`];
}
