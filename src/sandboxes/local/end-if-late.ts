import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import type { Sandbox } from "../port.ts";

/** The sandbox, or a prompt rejection when `signal` aborts. Nobody owns a sandbox that arrives after that, so it is ended. */
export function endIfLate<T extends Sandbox>(
  made: Promise<T>,
  name: string,
  signal: AbortSignal,
  log: Log,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => {
      reject(new PluginError("cancelled", `Cancelled while creating sandbox ${name}.`, { retryable: false }));
      made
        .then((late) => late.terminate())
        .catch((error: unknown) => log("debug", "A cancelled creation ended", { name, error: String(error) }));
    };
    if (signal.aborted) return abort();
    signal.addEventListener("abort", abort, { once: true });
    made.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}
