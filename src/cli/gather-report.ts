import type { Lab, LabArchive } from "../lab/lab.ts";
import { reasonOf } from "../prompt/leaderboard.ts";
import { type Report, toReport } from "../report/report.ts";
import type { Branches } from "../report/usage.ts";
import { PluginError } from "../shared/error-code.ts";
import { nameList, oneLine } from "../shared/plain-text.ts";
import type { Leaderboard } from "../views/leaderboard.ts";

/** Experiments of one metric that are ranked; projects have a few thousand. */
const MOST_EXPERIMENTS = 20_000;
const MOST_METRICS = 100;
const LISTED = 15;

/**
 * The session that is meant.
 * @param named an id or its beginning; null = the newest of the project @throws PluginError `not_found`, with those that there are
 */
export function chooseSession(lab: Lab, project: string | null, named: string | null): string {
  const all = lab.sessions(null);
  const own = project === null ? [] : all.filter((one) => one.project === project);
  if (named === null) {
    const newest = own.find(({ id }) => lab.view(id) !== null);
    if (newest) return newest.id;
    throw notFound("No session of this project has started jobs.", all, lab);
  }
  if (all.some(({ id }) => id === named) && lab.view(named) !== null) return named;
  const begun = all.filter(({ id }) => named.length >= 4 && id.startsWith(named) && lab.view(id) !== null);
  if (begun.length === 1 && begun[0]) return begun[0].id;
  const what = begun.length > 1 ? `${begun.length} sessions begin with` : "No session that started jobs is called";
  throw notFound(`${what} "${oneLine(named, 80)}".`, begun.length > 1 ? begun : own.length > 0 ? own : all, lab);
}

function notFound(problem: string, sessions: ReturnType<Lab["sessions"]>, lab: Lab): PluginError {
  const lines = sessions.slice(0, LISTED).flatMap(({ id, changedAt }) => {
    const view = lab.view(id);
    return view ? [`  ${id}  ${new Date(changedAt).toISOString().slice(0, 16)}  ${view.jobs.length} jobs`] : [];
  });
  const more = sessions.length > LISTED ? [`  and ${sessions.length - LISTED} more`] : [];
  const list =
    lines.length === 0
      ? " The state directory has no session with jobs."
      : ` There are, the newest first:\n${[...lines, ...more].join("\n")}`;
  return new PluginError("not_found", `${problem}${list}`, { retryable: false });
}

/** All that is known of a session and of the experiments of its project. What cannot be read is among its problems. */
export function gatherReport(lab: LabArchive, session: string, branches: Branches | null): Report {
  const view = lab.view(session);
  if (!view) throw new PluginError("not_found", `The session ${session} has no jobs.`, { retryable: false });
  const problems: string[] = [];
  const attempt = <T>(what: string, read: () => T, otherwise: T): T => {
    try {
      return read();
    } catch (error) {
      problems.push(`${what} could not be read: ${(error as Error).message}`);
      return otherwise;
    }
  };
  const experiments = attempt("The project's experiments", () => lab.experiments(session), []);
  const leaderboards = attempt("The leaderboard", () => boardsOf(lab, session, problems), []);
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
