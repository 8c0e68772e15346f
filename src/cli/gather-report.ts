import type { Lab, LabArchive } from "../lab/lab.ts";
import { reasonOf } from "../prompt/leaderboard.ts";
import { type Report, toReport } from "../report/report.ts";
import type { Branches } from "../report/usage.ts";
import { PluginError } from "../shared/error-code.ts";
import { nameList } from "../shared/plain-text.ts";
import type { Leaderboard } from "../views/leaderboard.ts";

/** Experiments of one metric that are ranked; projects have a few thousand. */
const MOST_EXPERIMENTS = 20_000;
const MOST_METRICS = 100;

/**
 * All that is known of a session and of the experiments of its project. What cannot be read is among its problems.
 * @param isTable whether it is for a table of the experiments, which has no place for problems: an empty one would say that
 * there are no experiments
 * @throws PluginError where there would be nothing in it because nothing can be read
 */
export function gatherReport(lab: LabArchive, session: string, branches: Branches | null, isTable = false): Report {
  const view = lab.view(session);
  if (!view) throw new PluginError("not_found", `The session ${session} has no jobs.`, { retryable: false });
  const problems: string[] = [];
  const attempt = <T>(what: string, read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      if (isTable) throw error;
      problems.push(`${what} could not be read: ${(error as Error).message}`);
      return otherwise;
    }
  };
  const experiments = attempt("The project's experiments", () => lab.experiments(session), []);
  const leaderboards = attempt("The leaderboard", () => boardsOf(lab, session, problems), []);
  if (view.jobs.length + experiments.length === 0 && view.problems.length > 0)
    throw new PluginError("config_invalid", [...view.problems, ...problems].join(" "), { retryable: false });
  return toReport({
    view,
    jobs: lab.records(session),
    experiments,
    leaderboards,
    series: new Map(view.jobs.map(({ id }) => [id, lab.series(session, id)])),
    branches,
    problems,
    unranked: reasonOf,
  });
}

function boardsOf(lab: Lab, session: string, problems: string[]): Leaderboard[] {
  const first = lab.leaderboard(session, null, MOST_EXPERIMENTS);
  if (!first || first.metric === null) return [];
  const others = first.otherMetrics.slice(0, MOST_METRICS - 1);
  const left = first.otherMetrics.slice(others.length);
  if (left.length > 0)
    problems.push(
      `Experiments of this project have ${first.otherMetrics.length + 1} metrics, and a report has ${MOST_METRICS} of them. Left out ${left.length === 1 ? "is" : "are"}: ${nameList(left)}.`,
    );
  return [first, ...others.flatMap((metric) => lab.leaderboard(session, metric, MOST_EXPERIMENTS) ?? [])];
}
