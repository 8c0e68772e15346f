import { AbandonedError, DeadlineError } from "../../shared/time-limit.ts";

/*
 * Kinds of errors that the SDK throws, recognised by class name and, for gRPC, by status code. Classes cannot be compared:
 * the SDK does not export gRPC's class, and two copies of a package have different classes. Messages are never searched.
 */

export type ErrorKind =
  /** The named thing does not exist, or no longer exists. */
  | "gone"
  /** No answer came: no network, a failing server, a lost connection. */
  | "unreachable"
  /** The account has reached one of its limits. */
  | "quota"
  /** No machine of the requested kind is free. */
  | "capacity"
  | "unauthorized"
  /** Modal does not accept the request. */
  | "invalid"
  | "exists"
  /** Our time limit passed, or that of the call itself. */
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
  // The sandbox ended before it was scheduled.
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

/** Whether trying again later may help; null when unknown. */
export function isRetryable(kind: ErrorKind): boolean | null {
  if (kind === "unreachable" || kind === "quota" || kind === "capacity" || kind === "timed_out") return true;
  return kind === "other" ? null : false;
}

/** The message of the server or the SDK, without the gRPC method in front, cut to `MAX_CHARS`. */
export function messageOf(error: unknown): string {
  const { details, message } = shapeOf(error);
  const whole = (details || message).trim();
  return whole.length > MAX_CHARS ? `${whole.slice(0, MAX_CHARS)} …` : whole;
}

const MAX_CHARS = 600;

export const nameOf = (error: unknown): string => shapeOf(error).name;

/** The gRPC status code; null where the SDK has made an error of its own of it. `NotFoundError` stands for NOT_FOUND. */
export function statusOf(error: unknown): number | null {
  const { name, code } = shapeOf(error);
  return name === "NotFoundError" ? 5 : name === "ClientError" ? code : null;
}

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
