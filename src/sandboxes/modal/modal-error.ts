import { AbandonedError, DeadlineError } from "../../shared/deadline.ts";

/*
 * What the SDK throws, told apart by shape: the class name and, for failures of gRPC, the status code. Classes cannot
 * be compared (the SDK does not export the one of gRPC, and two copies of a package have two of each), and messages
 * are never searched.
 */

export type ErrorKind =
  /** The thing named does not exist, or no longer. */
  | "gone"
  /** Nobody could be asked: no network, a server in trouble, a connection cut. */
  | "unreachable"
  /** The account has reached a limit of its own. */
  | "quota"
  /** No machine of the kind is free. */
  | "capacity"
  | "unauthorized"
  /** Asked for in a way Modal does not accept. */
  | "invalid"
  | "exists"
  /** Our own time limit, or a time limit of the call's. */
  | "timed_out"
  | "abandoned"
  | "other";

/** @source gRPC status codes; modal 0.11.1 passes them through as `ClientError` */
const BY_STATUS: Readonly<Record<number, ErrorKind>> = {
  1: "unreachable", // CANCELLED
  2: "unreachable", // UNKNOWN
  3: "invalid",
  4: "unreachable", // DEADLINE_EXCEEDED
  5: "gone", // NOT_FOUND
  6: "exists",
  7: "unauthorized", // PERMISSION_DENIED
  8: "quota", // RESOURCE_EXHAUSTED
  9: "gone", // FAILED_PRECONDITION: the sandbox has ended
  10: "unreachable", // ABORTED
  13: "unreachable", // INTERNAL
  14: "unreachable", // UNAVAILABLE
  16: "unauthorized", // UNAUTHENTICATED
};

const BY_NAME: Readonly<Record<string, ErrorKind>> = {
  NotFoundError: "gone",
  ClientClosedError: "gone",
  // A sandbox that ended before it was scheduled.
  ConflictError: "gone",
  AlreadyExistsError: "exists",
  InvalidError: "invalid",
  ResourceExhaustedError: "capacity",
  TimeoutError: "timed_out",
  SandboxTimeoutError: "timed_out",
};

export function kindOf(error: unknown): ErrorKind {
  if (error instanceof DeadlineError) return "timed_out";
  if (error instanceof AbandonedError) return "abandoned";
  const { name, code } = shapeOf(error);
  if (name === "ClientError") return BY_STATUS[code ?? -1] ?? "other";
  return Object.hasOwn(BY_NAME, name) ? (BY_NAME[name] ?? "other") : "other";
}

/** Whether asking again later may help; null when nobody knows. */
export function isRetryable(kind: ErrorKind): boolean | null {
  if (kind === "unreachable" || kind === "quota" || kind === "capacity" || kind === "timed_out") return true;
  return kind === "other" ? null : false;
}

/** What the server or the SDK says, without the gRPC path in front. */
export function wordsOf(error: unknown): string {
  const { details, message } = shapeOf(error);
  const words = (details || message).trim();
  return words.length > MAX_WORDS ? `${words.slice(0, MAX_WORDS)} …` : words;
}

const MAX_WORDS = 600;

export const nameOf = (error: unknown): string => shapeOf(error).name;

function shapeOf(error: unknown): { name: string; code: number | null; details: string; message: string } {
  const shape = (typeof error === "object" && error !== null ? error : {}) as Record<string, unknown>;
  const text = (key: string) => (typeof shape[key] === "string" ? (shape[key] as string) : "");
  return {
    name: text("name"),
    code: typeof shape.code === "number" ? shape.code : null,
    details: text("details"),
    message: text("message") || String(error),
  };
}
