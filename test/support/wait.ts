export interface UntilOptions {
  timeoutMs?: number;
  /** Default: 50, then less and less often, down to every 250: each question to a server costs it 10 ms of CPU. */
  everyMs?: number;
  /** What is waited for, in words: "the job has ended". */
  what: string;
  /** What there is instead, for the message of a time-out. */
  seen?: () => unknown;
}

/** How often to ask by a turn of the model: each takes a third of a second of CPU. */
export const TURN_EVERY_MS = 500;

/**
 * Polls `probe` until it gives something truthy and returns that. A probe that throws counts as "not yet".
 * @throws Error naming `what`, the time spent and what was seen last
 */
export async function until<T>(
  probe: () => T | Promise<T>,
  { timeoutMs = 60_000, everyMs, what, seen }: UntilOptions,
): Promise<NonNullable<T>> {
  const startedAt = performance.now();
  for (let pauseMs = everyMs ?? 50; ; pauseMs = everyMs ?? Math.min(pauseMs * 1.2, 250)) {
    let failure: unknown;
    try {
      const value = await probe();
      if (value) return value;
    } catch (error) {
      failure = error;
    }
    if (performance.now() - startedAt > timeoutMs) throw timedOut(what, timeoutMs, failure, seen);
    await pause(pauseMs);
  }
}

/** Gives up on a promise. The promise itself goes on; end what it waits for. */
export async function within<T>(
  promise: Promise<T>,
  timeoutMs: number,
  what: string,
  seen?: () => unknown,
): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(timedOut(what, timeoutMs, undefined, seen)), timeoutMs);
  });
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function timedOut(what: string, timeoutMs: number, failure: unknown, seen?: () => unknown): Error {
  const last = seen ? `\nseen: ${toText(seen())}` : "";
  const thrown = failure === undefined ? "" : `\nlast failure: ${toText(failure)}`;
  return new Error(`waited ${timeoutMs} ms in vain: ${what}${last}${thrown}`);
}

function toText(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Error) return value.message;
  return JSON.stringify(value, null, 1) ?? String(value);
}
