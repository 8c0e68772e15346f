import { join } from "node:path";
import type { Options } from "../config/schema.ts";
import type { ProviderName, SandboxProvider } from "../sandboxes/port.ts";
import { systemClock } from "../shared/clock.ts";
import { randomId } from "../shared/ids.ts";
import type { Log } from "../shared/log.ts";
import { requireCredentials } from "./provider-choice.ts";

const ids = () => randomId("x").slice(2);

/** Adapters are loaded when the first job needs one. */
export async function createProvider(name: ProviderName, options: Options, log: Log): Promise<SandboxProvider> {
  if (name === "modal") {
    const { createModalProvider } = await import("../sandboxes/modal/modal-provider.ts");
    const credentials = requireCredentials(process.env);
    return createModalProvider({ options: options.modal, credentials, clock: systemClock, log, ids });
  }
  const { createLocalProvider } = await import("../sandboxes/local/local-provider.ts");
  return createLocalProvider({
    rootDir: join(options.stateDir, "local"),
    isolation: options.local.isolation,
    clock: systemClock,
    log,
    ids,
  });
}
