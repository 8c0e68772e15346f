import { Buffer } from "node:buffer";
import { systemClock } from "../shared/clock.ts";
import { oneLine } from "../shared/plain-text.ts";
import { within } from "../shared/time-limit.ts";

/** A tracker's answer that is no success, or that it gave none. */
export class TrackerError extends Error {
  override readonly name = "TrackerError";
  /** null = no answer. */
  readonly status: number | null;
  constructor(message: string, status: number | null) {
    super(message);
    this.status = status;
  }
}

const ANSWER_MS = 60_000;

/** @returns the JSON of the answer @throws TrackerError, also for a redirection, which could lead credentials elsewhere */
export async function request(
  method: "GET" | "POST",
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: unknown,
): Promise<Record<string, unknown>> {
  const what = `${method} ${url}`;
  const abort = new AbortController();
  const ask = async () => {
    const response = await fetch(url, {
      method,
      headers: { ...headers, ...(body !== undefined && { "content-type": "application/json" }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      redirect: "manual",
      signal: abort.signal,
    });
    return { response, text: await readBounded(response) };
  };
  const { response, text } = await within(ask(), { clock: systemClock, limitMs: ANSWER_MS, doing: what }).catch(
    (error) => {
      abort.abort();
      const { message, cause } = error as Error;
      throw new TrackerError(`${what} got no answer: ${cause instanceof Error ? cause.message : message}`, null);
    },
  );
  if (!response.ok)
    throw new TrackerError(`${what} was answered ${response.status}: ${words(text, 300)}`, response.status);
  const parsed = parse(text === "" ? "{}" : text);
  if (parsed) return parsed;
  throw new TrackerError(
    `${what} was not answered with a JSON object, so this may be no such server: ${words(text, 100)}`,
    response.status,
  );
}

/** No tracker answers so much; what is larger, or has no end, is none. */
const LONGEST_ANSWER = 8 * 1024 * 1024;

async function readBounded(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > LONGEST_ANSWER) throw new Error(`its answer is longer than ${LONGEST_ANSWER / 1024 / 1024} MiB`);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string): Record<string, unknown> | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null && !Array.isArray(parsed)
      ? (parsed as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** What a person can read of an answer, also of a page of a proxy before the server. */
const words = (text: string, most: number): string =>
  oneLine(
    text
      .slice(0, 20_000)
      .replace(/<(script|style)\b[\s\S]*?<\/\1>/gi, " ")
      .replace(/<[a-z!/][^>]*>/gi, " "),
    most,
  );

/**
 * Sends values in parts, in order, each as large as the server and what is before it take: a part that is refused for its
 * size is halved.
 */
export async function sendInParts<T>(
  values: readonly T[],
  most: number,
  send: (part: readonly T[]) => Promise<void>,
): Promise<void> {
  let size = most;
  for (let from = 0; from < values.length; ) {
    const part = values.slice(from, from + size);
    try {
      await send(part);
      from += part.length;
    } catch (error) {
      if (!isTooLarge(error) || part.length === 1) throw error;
      size = Math.ceil(part.length / 2);
    }
  }
}

/**
 * @source mlflow/mlflow#2441, #11462: servers of others that speak MLflow's language take fewer values at once, 200 in Azure's
 * case, and say so with 400 and in words
 */
const isTooLarge = (error: unknown): boolean =>
  error instanceof TrackerError &&
  (error.status === 413 || (error.status === 400 && /\blimit|at most|too (?:many|large)|exceed/i.test(error.message)));
