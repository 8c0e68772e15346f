import type { Lab } from "../lab/lab.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";

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
