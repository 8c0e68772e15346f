import type { Clock } from "./clock.ts";

/** A call exceeded its time limit. What it was asked to do may still happen. */
export class DeadlineError extends Error {
  override readonly name = "DeadlineError";

  constructor(doing: string, afterMs: number) {
    super(`${doing} took longer than ${formatSeconds(afterMs)}`);
  }
}

/** The caller aborted the wait for a call. */
export class AbandonedError extends Error {
  override readonly name = "AbandonedError";
}

export interface Within<T> {
  readonly clock: Clock;
  readonly limitMs: number;
  /** Subject of the error message: "Creating sandbox job_1". */
  readonly doing: string;
  readonly signal?: AbortSignal | undefined;
  /** Gets the value if it arrives after the wait has ended. */
  readonly onLate?: (value: T) => void;
}

/**
 * Waits at most `limitMs` for a promise that may never settle.
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
        if (!waiting) return; // the caller already has its error
        stop();
        reject(error);
      },
    );
    if (signal?.aborted) abort();
    else signal?.addEventListener("abort", abort);
  });
}

const formatSeconds = (ms: number): string => (ms >= 1000 ? `${Math.round(ms / 1000)} s` : `${ms} ms`);
