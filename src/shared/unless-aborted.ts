import { PluginError } from "./error-code.ts";

/**
 * Waits for work that cannot be stopped, or no longer than until the job is.
 * @param before what the work is to reach: "it had a sandbox"
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
