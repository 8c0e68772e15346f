import { computeUsd } from "../core/cost.ts";
import type { Job, Metric } from "../core/job.ts";
import { describeParams } from "../core/matrix.ts";
import { comparedBy, labelOf, type Objective, tellingOrder } from "../core/run-groups.ts";
import { countStates } from "../core/state-counts.ts";
import { paramsApart, type ToldApart } from "../core/told-apart.ts";
import { formatUsd } from "../shared/usd.ts";
import { type FailedRun, joinIDs, renderFailures } from "./failures-alike.ts";
import { DESCRIPTION_LIMIT, renderMetric, renderStates } from "./job-list.ts";
import { toFact, toQuoted } from "./quoted-text.ts";

/*
 * What the runs of one call have come to, as one table: their numbers are worth comparing, their outputs are not worth
 * reading one by one.
 */

/** Characters of a row's parameters and last line, and metrics besides the one that runs are compared by. */
const PARAMS_LIMIT = 120;
const LINE_LIMIT = 100;
const METRICS = 3;
/** Share of the room for failures, and bytes for the ids of runs without a row. */
const FAILURES = 0.3;
const IDS = 3_000;

/** The runs of one call that have ended, best first, and those that failed by their causes. */
export function renderRunTable(ended: readonly Job[], bytes: number): string {
  const runs = tellingOrder(ended);
  const failed = runs.filter(({ state }) => state.kind === "failed");
  const others = runs.filter(({ state }) => state.kind !== "failed");
  const labels = new Set(runs.map(labelOf));
  const apart = paramsApart(runs.map(({ task }) => task.run?.params ?? {}));
  const objectiveOf = comparedBy(runs);
  const sources = new Set(others.flatMap((job) => metricsOf(job, objectiveOf(job)).map(([, { source }]) => source)));
  const shown = { labels, apart, sources, objectiveOf };
  const heading = renderHeading(runs, others, shown);
  const failures = renderFailures(failed.map(toFailedRun), Math.floor(bytes * FAILURES));
  let left = bytes - Buffer.byteLength([heading, ...failures].join("\n")) - Math.min(IDS, others.length * 20) - 200;
  const rows: string[] = [];
  for (const job of others) {
    const row = renderRow(job, rows.length + 1, shown);
    left -= Buffer.byteLength(row) + 1;
    if (left < 0) break;
    rows.push(row);
  }
  const rest = others.slice(rows.length);
  return [
    heading,
    ...rows,
    ...(rest.length > 0 ? [`${rest.length} more rank below these: ${joinIDs(rest, IDS)}. ${SEE_MORE}`] : []),
    ...failures,
  ].join("\n");
}

const SEE_MORE = 'agents_status with "jobs" tells their numbers, and of a few the end of their output.';

interface Shown {
  readonly labels: ReadonlySet<string>;
  readonly apart: ToldApart;
  readonly sources: ReadonlySet<string>;
  readonly objectiveOf: (job: Job) => Objective | null;
}

function renderHeading(runs: readonly Job[], others: readonly Job[], shown: Shown): string {
  const usd = runs.reduce((sum, job) => sum + costOf(job), 0);
  const name = shown.labels.size === 1 ? toFact([...shown.labels][0] ?? "", DESCRIPTION_LIMIT) : "several tasks";
  const params = toFact(describeParams(shown.apart.common), PARAMS_LIMIT);
  const facts = [
    `${runs.length} runs of one call have ended: ${renderStates(countStates(runs))}`,
    ...(params === "" ? [] : [`all with ${params}`]),
    ...(usd > 0 ? [`cost ${formatUsd(usd)}`] : []),
    ...(shown.sources.size === 1 ? [SOURCES[[...shown.sources][0] ?? ""] ?? ""] : []),
    renderOrder(others, shown),
  ];
  return `${name}: ${facts.filter((fact) => fact !== "").join("; ")}.`;
}

/** "best first by loss (min), those that did not complete behind" */
function renderOrder(runs: readonly Job[], { objectiveOf }: Shown): string {
  const objectives = new Map(runs.map((job) => [JSON.stringify(objectiveOf(job)), objectiveOf(job)]));
  const known = [...objectives.values()].flatMap((one) =>
    one ? [`${toFact(one.metric, 40)} (${one.direction})`] : [],
  );
  if (known.length === 0) return "in the order of their ends";
  const isCut = runs.some((job) => job.state.kind === "cancelled" && metricsOf(job, objectiveOf(job)).length > 0);
  const without = runs.filter((job) => objectiveOf(job) === null).length;
  return [
    `best first by ${known.join(", then ")}`,
    ...(isCut ? ["those that did not complete behind"] : []),
    ...(without > 0 ? [`last ${without} that ${without === 1 ? "is" : "are"} compared by nothing`] : []),
  ].join(", ");
}

/** Whose numbers they are. */
const SOURCES: Readonly<Record<string, string>> = {
  output: "numbers from their output",
  reported: "numbers as they reported them",
  clean: "numbers measured clean",
  snapshot: "numbers measured in their snapshots",
};

function renderRow(job: Job, rank: number, { labels, apart, sources, objectiveOf }: Shown): string {
  const { id, state, task, stopped, exitCode, startedAt } = job;
  const metrics = metricsOf(job, objectiveOf(job)).map(
    ([name, metric]) => `${renderMetric(name, metric)}${sources.size > 1 ? ` (${metric.source})` : ""}`,
  );
  const result = "result" in state ? (state.result ?? "") : "";
  const lastLine = metrics.length > 0 ? "" : (result.trimEnd().split("\n").at(-1) ?? "").trim();
  const usd = costOf(job);
  const cells = [
    ...metrics,
    metrics.length === 0 && state.kind === "completed" && state.result === "" ? "printed nothing" : "",
    lastLine === "" ? "" : `ends with ${toQuoted(lastLine, LINE_LIMIT)}`,
    labels.size > 1 ? toFact(labelOf(job), LINE_LIMIT) : "",
    toFact(apart.describe(task.run?.params ?? {}, PARAMS_LIMIT)),
    task.run?.measures ? `measures ${task.run.measures.jobID}` : "",
    state.kind === "cancelled" ? (stopped ? `stopped early at rung ${stopped.rung}` : "cancelled") : "",
    exitCode ? `exit code ${exitCode}` : "",
    startedAt === null ? "never started" : `${Math.round((state.since - startedAt) / 100) / 10} s`,
    usd > 0 ? formatUsd(usd) : "",
  ];
  return `${rank}. ${id}  ${cells.filter((cell) => cell !== "").join(" · ")}`;
}

const costOf = ({ modelUsd, compute, state }: Job): number => modelUsd + computeUsd(compute, state.since);

/** The metric that the run is compared by, and a few others; of a measurement only what its benchmark declares. */
function metricsOf(job: Job, objective: Objective | null): [string, Metric][] {
  const main = objective?.metric;
  const measured = job.task.run?.measures?.setting;
  const all = Object.entries(job.metrics).filter(([, { source }]) => !measured || source === measured);
  return all.sort(([a], [b]) => Number(b === main) - Number(a === main)).slice(0, METRICS);
}

export function toFailedRun(job: Job): FailedRun {
  const failure = job.state.kind === "failed" ? job.state.failure : null;
  return { id: job.id, code: failure?.code ?? "", message: failure?.message ?? "", exitCode: job.exitCode };
}
