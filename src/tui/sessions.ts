import type { TuiPluginApi } from "@opencode-ai/plugin/tui";
import type { JobView } from "../views/job-view.ts";
import type { LabView } from "../views/lab-view.ts";

type HostSessions = Pick<TuiPluginApi["state"], "session">;

/** The session on the screen; null where there is none. */
export function sessionOnScreen({ current }: Pick<TuiPluginApi["route"], "current">): string | null {
  const params =
    current.name === "session" ? (current.params as { readonly sessionID?: unknown } | undefined) : undefined;
  return typeof params?.sessionID === "string" ? params.sessionID : null;
}

/** The session and those that it is a child of, the nearest first. The last one holds the jobs of all. */
export function ancestorsOf({ session }: HostSessions, id: string): readonly string[] {
  const found = [id];
  for (;;) {
    const parent = session.get(found.at(-1) as string)?.parentID;
    if (parent === undefined || found.includes(parent)) return found;
    found.push(parent);
  }
}

/** The session that a session's jobs are kept under. */
export const orchestratorOf = (state: HostSessions, id: string): string => ancestorsOf(state, id).at(-1) as string;

/** The job that a child session belongs to, as its own or as one of a subagent's; null = it belongs to none. */
export function jobOfSession(state: HostSessions, view: LabView | null, id: string | null): JobView | null {
  if (view === null || id === null) return null;
  for (const one of ancestorsOf(state, id)) {
    const job = view.jobs.find(({ sessionID }) => sessionID === one);
    if (job) return job;
  }
  return null;
}

/** Whether the host asks something in the conversation: then keys answer it. */
export function isAsked({ state, route }: Pick<TuiPluginApi, "state" | "route">): boolean {
  const session = sessionOnScreen(route);
  return session !== null && state.session.permission(session).length + state.session.question(session).length > 0;
}
