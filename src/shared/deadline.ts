import type { Clock } from "./clock.ts";

/** A call did not answer in the time we give it. It may still do what it was asked. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";

  constructor(doing: string, afterMs: number) {
    super(`${doing} took longer than ${formatSeconds(afterMs)}`);
  }
}

/** The caller gave up. */
export class AbandonedError extends Error {
  override readonly name = "AbandonedError";
}

export interface Within<T> {
  readonly clock: Clock;
  readonly limitMs: number;
  /** Opens the message: "Creating sandbox job_1". */
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
  /** Given what arrives after everyone has stopped waiting for it. */
  readonly onLate?: (value: T) => void;
}

/**
 * Waits for a call no longer than `limitMs`: what answers it may stand still for ever.
 * @throws DeadlineError, AbandonedError, and whatever the call rejects with
 */
export function within<T>(call: Promise<T>, { clock, limitMs, doing, signal, onLate }: Within<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    let waiting = true;
    const stop = () => {
      waiting = false;
      cancel();
      signal?.removeEventListener("abort", abort);
    };
    const giveUp = (error: Error) => {
      if (!waiting) return;
      stop();
      reject(error);
    };
    const abort = () => giveUp(new AbandonedError(`${doing} was abandoned`));
    const cancel = clock.after(limitMs, () => giveUp(new DeadlineError(doing, limitMs)));
    call.then(
      (value) => {
        if (!waiting) return onLate?.(value);
        stop();
        resolve(value);
      },
      (error: unknown) => {
        if (!waiting) return; // Nobody waits for it any more.
        stop();
        reject(error);
      },
    );
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort);
  });
}

const formatSeconds = (ms: number): string => (ms >= 1000 ? `${Math.round(ms / 1000)} s` : `${ms} ms`);
