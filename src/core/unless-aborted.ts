import { PluginError } from "../shared/error-code.ts";

/**
 * Waits for work that cannot be cancelled itself, but only until the job is stopped.
 * @param before completes the message "The job was stopped before …": "it had a sandbox"
 * @throws PluginError `cancelled`, and whatever the work rejects with
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal, before: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(new PluginError("cancelled", `The job was stopped before ${before}.`));
    signal.addEventListener("abort", abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    if (signal.aborted) abort();
  });
}
