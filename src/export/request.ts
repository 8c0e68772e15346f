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
    return { response, text: await response.text() };
  };
  const { response, text } = await within(ask(), { clock: systemClock, limitMs: ANSWER_MS, doing: what }).catch(
    (error) => {
      abort.abort();
      const { message, cause } = error as Error;
      throw new TrackerError(`${what} got no answer: ${cause instanceof Error ? cause.message : message}`, null);
    },
  );
  if (!response.ok)
    throw new TrackerError(`${what} was answered ${response.status}: ${oneLine(text, 300)}`, response.status);
  try {
    return JSON.parse(text === "" ? "{}" : text) as Record<string, unknown>;
  } catch {
    throw new TrackerError(
      `${what} was not answered with JSON, so this may be no such server: ${oneLine(text, 100)}`,
      response.status,
    );
  }
}
