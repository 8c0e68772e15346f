import { supportOf } from "../../core/host-version.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { memoizeUntilFailure } from "../../shared/memoize-until-failure.ts";
import { TOAST_TITLE, type Toast } from "../shared/toasts.ts";
import { type HostClient, unwrap } from "./host-client.ts";

/** Knows the version of the running OpenCode. One that does not say its version is taken for a tested one. */
export interface HostVersion {
  /** @throws PluginError `session_create_failed` in a version that is not supported */
  requireSupported(): Promise<void>;
  /** Tells the user of a version that is not supported, once and in the background; logs one that is not tested. */
  report(): void;
}

export function createHostVersion(
  client: Pick<HostClient, "global">,
  toast: (toast: Toast) => Promise<unknown>,
  log: Log,
): HostVersion {
  const support = memoizeUntilFailure(async () => {
    const { version } = await unwrap(client.global.health(), "session_create_failed", "read the version of OpenCode");
    return supportOf(version);
  });
  let isReported = false;

  async function report(): Promise<void> {
    const found = await support();
    if (found.kind === "tested") return;
    log(found.kind === "untested" ? "info" : "error", found.message);
    if (found.kind === "unsupported") await toast({ title: TOAST_TITLE, message: found.message, variant: "error" });
  }

  return {
    async requireSupported() {
      const found = await support().catch(() => null);
      if (found?.kind === "unsupported")
        throw new PluginError("session_create_failed", found.message, { retryable: false });
    },
    report() {
      if (isReported) return;
      isReported = true;
      report().catch((error) => log("warn", "could not read the version of OpenCode", { reason: String(error) }));
    },
  };
}
