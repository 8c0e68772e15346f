import { join } from "node:path";
import type { Event } from "@opencode-ai/sdk/v2/client";
import { pause, type UntilOptions, until } from "./wait.ts";

export interface ServerEvents {
  readonly all: Event[];
  /** The first event, old or new, that satisfies `predicate`; from `since` on (an index of `all`). */
  waitFor<E extends Event>(
    predicate: ((event: Event) => event is E) | ((event: Event) => boolean),
    options: Omit<UntilOptions, "everyMs"> & { since?: number },
  ): Promise<E>;
  close(): Promise<void>;
}

const RETRY_MS = 100;

/**
 * Follows `GET /event` of a directory, and of what all directories tell that of its instance for jobs; resolves when the
 * server says that it is connected, so that nothing is missed.
 * The server ends the stream when it disposes the directory's instance; then this connects again, as a real client does.
 */
export async function followEvents(
  url: string,
  directory: string,
  { onEvent, headers = {} }: { onEvent?: (event: Event) => void; headers?: Record<string, string> } = {},
): Promise<ServerEvents> {
  const all: Event[] = [];
  const abort = new AbortController();
  const follow = async (path: string, toEvent: (data: unknown) => Event | null) => {
    const response = await fetch(`${url}${path}`, { headers, signal: abort.signal });
    if (!response.ok || !response.body) throw new Error(`GET ${path} answered ${response.status}`);
    await readLines(response.body, (line) => {
      const event = line.startsWith("data: ") ? toEvent(JSON.parse(line.slice("data: ".length))) : null;
      if (!event) return;
      all.push(event);
      onEvent?.(event);
    });
  };
  const connect = () => follow(`/event?directory=${encodeURIComponent(directory)}`, (data) => data as Event);
  const ofJobs = (data: unknown): Event | null => {
    const { directory: where, payload } = data as { directory?: string; payload: Event };
    return where === join(directory, ".git") && !payload.type.startsWith("server.") ? payload : null;
  };
  const readingJobs = follow("/global/event", ofJobs).catch(() => {}); // the server went away, or we did
  let failure: unknown = null;
  const reading = (async () => {
    while (!abort.signal.aborted)
      try {
        await connect();
      } catch (error) {
        if (all.length > 0) return; // the server went away, or we did
        failure = error; // it has only just started
        await pause(RETRY_MS);
      }
  })();
  await until(() => all.length > 0, { what: "the event stream is connected", seen: () => [String(failure)] });
  return {
    all,
    waitFor: <E extends Event>(
      predicate: ((event: Event) => event is E) | ((event: Event) => boolean),
      { since = 0, ...options }: UntilOptions & { since?: number },
    ) =>
      until(() => all.slice(since).find((event): event is E => predicate(event)), {
        everyMs: 10,
        seen: () => all.slice(-12).map((event) => event.type),
        ...options,
      }),
    async close() {
      abort.abort();
      await Promise.all([reading, readingJobs]);
    },
  };
}

async function readLines(body: ReadableStream<Uint8Array>, onLine: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + decoder.decode(value, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
}
