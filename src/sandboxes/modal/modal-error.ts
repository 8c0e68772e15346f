import { AbandonedError, DeadlineError } from "../../shared/time-limit.ts";
import { meaningOfDenied, meaningOfExhausted, meaningOfPrecondition } from "./status-meaning.ts";

/*
 * Kinds of errors that the SDK throws, recognised by class name and, for gRPC, by status code. Classes cannot be compared:
 * the SDK does not export gRPC's class, and two copies of a package have different classes. Messages decide only where one
 * status code means several things (`src/sandboxes/modal/status-meaning.ts`).
 */

export type ErrorKind =
  /** The named thing does not exist, or no longer exists. */
  | "gone"
  /** The sandbox has ended. */
  | "ended"
  /** What a sandbox was to start from was kept only for a time, which is over. */
  | "expired"
  /** No answer came: no network, a failing server, a lost connection. */
  | "unreachable"
  /** Too many calls of this kind in a short time. */
  | "rate"
  /** The workspace has reached one of its limits, such as its number of sandboxes or GPUs. */
  | "quota"
  /** The workspace has spent what it may spend. */
  | "spend"
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
  10: "unreachable", // ABORTED
  13: "unreachable", // INTERNAL
  14: "unreachable", // UNAVAILABLE
  16: "unauthorized", // UNAUTHENTICATED
};

const BY_NAME: Readonly<Record<string, ErrorKind>> = {
  NotFoundError: "gone",
  ClientClosedError: "gone",
  // The sandbox ended before it was scheduled.
  ConflictError: "ended",
  AlreadyExistsError: "exists",
  InvalidError: "invalid",
  ResourceExhaustedError: "capacity",
  TimeoutError: "timed_out",
  SandboxTimeoutError: "timed_out",
};

export function kindOf(error: unknown): ErrorKind {
  if (error instanceof DeadlineError) return "timed_out";
  if (error instanceof AbandonedError) return "abandoned";
  const { name, code, details, message } = shapeOf(error);
  if (name === "ClientError") return ambiguous(error, code, details || message) ?? BY_STATUS[code ?? -1] ?? "other";
  return Object.hasOwn(BY_NAME, name) ? (BY_NAME[name] ?? "other") : "other";
}

function ambiguous(error: unknown, code: number | null, message: string): ErrorKind | null {
  if (code === 7) return meaningOfDenied(message);
  if (code === 8) return retryAfterOf(error) === null ? meaningOfExhausted(message) : "rate";
  return code === 9 ? meaningOfPrecondition(message) : null;
}

/** Whether no answer came at all, so that what was asked for is not at fault. A failing server does answer. */
export const isAway = (error: unknown): boolean =>
  error instanceof DeadlineError || [4, 14].includes(statusOf(error) ?? Number.NaN);

/** Whether the sandbox that a call was about has ended. */
export const isNoMore = (kind: ErrorKind): boolean => kind === "gone" || kind === "ended";

/** Whether trying again later may help; null when unknown. */
export function isRetryable(kind: ErrorKind): boolean | null {
  if (kind === "unreachable" || kind === "capacity" || kind === "timed_out") return true;
  if (kind === "rate" || kind === "quota") return true;
  return kind === "other" ? null : false;
}

/** Notes on an error how long Modal asks to wait before the call is made again. */
export const withRetryAfter = (error: unknown, retryAfterMs: number): unknown =>
  typeof error === "object" && error !== null ? Object.assign(error, { retryAfterMs }) : error;

/** How long Modal asks to wait before the call is made again, ms; null = it does not say. */
export function retryAfterOf(error: unknown): number | null {
  const { retryAfterMs } = (typeof error === "object" && error !== null ? error : {}) as { retryAfterMs?: unknown };
  return typeof retryAfterMs === "number" ? retryAfterMs : null;
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
