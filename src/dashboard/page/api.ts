import { systemClock } from "../../shared/clock.ts";
import type { LabAnswer } from "../../views/lab-view.ts";

/** The token lives in this tab alone: never in the address, where histories and screen pictures keep it. */
const KEY = "token";

export function takeToken(): string | null {
  const given = new URLSearchParams(location.search).get("token");
  if (given) {
    sessionStorage.setItem(KEY, given);
    history.replaceState(null, "", location.pathname);
  }
  return given ?? sessionStorage.getItem(KEY);
}

const headers = (): Record<string, string> => ({ authorization: `Bearer ${sessionStorage.getItem(KEY) ?? ""}` });

const withSession = (path: string, session: string | null): string =>
  session === null ? path : `${path}${path.includes("?") ? "&" : "?"}session=${encodeURIComponent(session)}`;

/** @throws Error with a sentence, where the dashboard does not answer or refuses */
export async function get<T>(path: string, session: string | null, signal?: AbortSignal): Promise<T> {
  const response = await ask(withSession(path, session), { headers: headers() }, signal);
  if (response.ok) return (await response.json()) as T;
  const { message } = (await response.json()) as { message: string };
  throw new Error(message);
}

export async function open(session: string | null, signal: AbortSignal): Promise<ReadableStream<Uint8Array>> {
  const response = await ask(withSession("/events", session), { headers: headers() }, signal, SOON_MS);
  if (!response.ok || !response.body) throw new Error(((await response.json()) as { message: string }).message);
  return response.body;
}

/** Never rejects. */
export async function act(action: string, session: string | null, body: unknown): Promise<LabAnswer> {
  try {
    // An action may take long; without a connection for it, it would be done whenever one is free.
    await (await ask("/", { headers: headers() }, undefined, SOON_MS)).text();
    const response = await ask(withSession(`/actions/${action}`, session), {
      method: "POST",
      headers: { ...headers(), "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    return (await response.json()) as LabAnswer;
  } catch (error) {
    return { kind: "refused", code: "unreachable", message: (error as Error).message };
  }
}

/** Time for an answer that needs nobody else. */
const SOON_MS = 10_000;

const NO_CONNECTION = `The dashboard has not answered in ${SOON_MS / 1000} s. It may be suspended; or too many windows show it: browsers keep six connections to it, and each window in sight takes one. Close some.`;

/** @param limitMs until the answer begins */
async function ask(path: string, request: RequestInit, signal?: AbortSignal, limitMs?: number): Promise<Response> {
  const limit = new AbortController();
  const stop = limitMs === undefined ? () => {} : systemClock.after(limitMs, () => limit.abort());
  const either = AbortSignal.any([limit.signal, ...(signal ? [signal] : [])]);
  try {
    return await fetch(path, {
      ...request,
      signal: either,
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Error(
      limit.signal.aborted
        ? NO_CONNECTION
        : "The dashboard's command does not answer; it may have been ended. Start it again.",
    );
  } finally {
    stop();
  }
}
