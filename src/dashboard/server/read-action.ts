import type { LabRequest } from "../../views/lab-view.ts";

/** What pages may ask for: nothing else that the lab can do. */
export const ACTIONS = ["cancel", "message", "collect"] as const;
export type ActionName = (typeof ACTIONS)[number];

export type ReadAction =
  | { readonly kind: "request"; readonly request: LabRequest }
  | { readonly kind: "invalid"; readonly message: string };

const MODES = ["branch", "patch", "files"] as const;
const MOST_JOBS = 1_000;
/** Characters. */
const LONGEST_MESSAGE = 50_000;

/** @param text the body of the request */
export function readAction(action: ActionName, text: string): ReadAction {
  const body = parseObject(text);
  if (!body) return invalid("the body is not a JSON object");
  switch (action) {
    case "cancel": {
      const { jobs } = body;
      if (!Array.isArray(jobs) || jobs.length === 0 || jobs.length > MOST_JOBS || !jobs.every(isId))
        return invalid(`"jobs" must be a list of 1 to ${MOST_JOBS} ids of jobs`);
      return { kind: "request", request: { kind: "cancel", jobs } };
    }
    case "message": {
      const { job, message } = body;
      if (!isId(job)) return invalid('"job" must be the id of a job');
      if (typeof message !== "string" || message.trim() === "" || message.length > LONGEST_MESSAGE)
        return invalid(`"message" must be text of at most ${LONGEST_MESSAGE} characters`);
      return { kind: "request", request: { kind: "message", job, text: message } };
    }
    case "collect": {
      const { job, mode = "branch" } = body;
      if (!isId(job)) return invalid('"job" must be the id of a job');
      const known = MODES.find((name) => name === mode);
      if (known === undefined) return invalid(`"mode" must be one of ${MODES.join(", ")}`);
      return { kind: "request", request: { kind: "collect", job, mode: known } };
    }
  }
}

const invalid = (why: string): ReadAction => ({ kind: "invalid", message: `Could not read the request: ${why}.` });

const isId = (value: unknown): value is string => typeof value === "string" && /^\w{1,100}$/.test(value);

function parseObject(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null;
  } catch {
    return null;
  }
}
