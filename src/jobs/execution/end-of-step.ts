import type { ChildSessions } from "../../core/ports.ts";
import { type Clock, sleep } from "../../shared/clock.ts";
import type { SessionActivity } from "./session-activity.ts";

export interface EndOfStepDeps {
  readonly sessions: Pick<ChildSessions, "on">;
  readonly activity: Pick<SessionActivity, "of">;
  readonly clock: Clock;
}

/** Longest wait: a tool that goes on is cut off by the stop. */
const STEP_MS = 2_000;

/** Waits for the end of the step in which a tool of the session runs; where none runs, there is nothing to wait for. */
export async function untilStepEnds({ sessions, activity, clock }: EndOfStepDeps, sessionID: string): Promise<void> {
  if (activity.of(sessionID).tool === null) return;
  const ended = new AbortController();
  const unsubscribe = sessions.on((event) => {
    if (event.sessionID === sessionID && (event.kind === "step" || event.kind === "touched")) ended.abort();
  });
  await sleep(clock, STEP_MS, ended.signal);
  unsubscribe();
}
