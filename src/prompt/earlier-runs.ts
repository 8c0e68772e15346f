import type { Experiment } from "../core/experiments/experiment.ts";
import { oneLine } from "../shared/plain-text.ts";
import { formatValue } from "../views/numbers.ts";
import { toFact, toQuoted } from "./quoted-text.ts";

const METRICS = 3;
const NAME_LIMIT = 64;
const DESCRIPTION_LIMIT = 60;
/** Lines about repeats in one answer. */
const LINES = 10;

/** What an earlier run came to: "job_1 of 2026-11-27 04:12 UTC (loss 1.2)". */
function describeRun({ job, createdAt, results, standing, exitCode }: Experiment): string {
  const values = results
    .slice(0, METRICS)
    .map(({ metric, value }) => `${toFact(oneLine(metric, NAME_LIMIT))} ${formatValue(value)}`);
  const more = results.length > METRICS ? [`${results.length - METRICS} more`] : [];
  const end = {
    final: values.length === 0 ? "without metrics" : null,
    outdated: values.length === 0 ? "without metrics" : null,
    running: "not ended yet",
    stopped: "stopped early",
    failed: exitCode === null ? "failed or cancelled" : `failed with exit code ${exitCode}`,
  }[standing];
  const facts = [...(end === null ? [] : [end]), ...values, ...more].join(", ");
  return `${job} of ${new Date(createdAt).toISOString().slice(0, 16).replace("T", " ")} UTC (${facts})`;
}

/** The note on a run that was run before. */
export const earlierRunNote = (run: Experiment): string =>
  `The same was run before, with the same command, parameters, environment and files: ${describeRun(run)}.`;

interface Repeated {
  readonly earlier: readonly {
    readonly job: { readonly id: string; readonly task: { readonly description: string } };
    readonly run: Experiment;
  }[];
  readonly within: readonly { readonly jobs: readonly string[]; readonly seed: string }[];
}

/** What the answer to a call says of its runs that repeat others. They start all the same. */
export function renderRepeats({ earlier, within }: Repeated): string[] {
  const before = earlier.map(
    ({ job, run }) =>
      `Run before: ${job.id} ${toQuoted(job.task.description, DESCRIPTION_LIMIT)} is the same as ${describeRun(run)}.`,
  );
  const same = within.map(({ jobs, seed }) => {
    const names = `${jobs.slice(0, 5).join(", ")}${jobs.length > 5 ? ` and ${jobs.length - 5} more` : ""}`;
    const seeds =
      seed === ""
        ? ""
        : ` and the same seed ${toFact(oneLine(seed, NAME_LIMIT))}, so that they count as one measurement`;
    return `Runs of this call that do the same: ${names}, with the same command, parameters${seeds}.`;
  });
  const lines = [...same, ...before];
  const left = lines.length - LINES;
  const more = left > 0 ? [`${left} more runs were run before; their notes name the earlier ones.`] : [];
  return [
    ...lines.slice(0, LINES),
    ...more,
    ...(lines.length > 0 ? ["They start all the same; agents_cancel ends those that are not needed."] : []),
  ];
}
