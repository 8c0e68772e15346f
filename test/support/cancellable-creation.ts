import type { Sandbox } from "../../src/sandboxes/port.ts";
import { PluginError } from "../../src/shared/error-code.ts";

/** A creation as the provider port promises it: rejects when `signal` aborts, and a sandbox that arrives later is ended. */
export function cancellable(made: Promise<Sandbox>, name: string, signal: AbortSignal | undefined): Promise<Sandbox> {
  if (!signal) return made;
  return new Promise<Sandbox>((resolve, reject) => {
    const abort = () => {
      reject(new PluginError("cancelled", `Creating ${name} was cancelled.`, { retryable: false }));
      made.then((late) => late.terminate()).catch(() => {});
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    made.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
