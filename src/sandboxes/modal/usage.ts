import type { ModalClient } from "modal";
import { within } from "../../shared/time-limit.ts";
import type { SandboxUsage } from "../port.ts";
import type { CallDeps } from "./limits.ts";
import { messageOf, statusOf } from "./modal-error.ts";

const UNIMPLEMENTED = 12;

/**
 * Reads the meters of live sandboxes; null when Modal does not tell. Cores and memory are counted as billed, the larger of
 * request and use. Never rejects. A service that does not know the call is asked once only.
 * @source Modal's protocol, SandboxGetResourceUsage, and the discussion of it in modal-client #2966; users report that it
 * runs a minute or more behind, and knows nothing of a sandbox that has ended
 */
export function createUsageReader(
  connect: () => Promise<ModalClient>,
  { clock, limits, log }: Pick<CallDeps, "clock" | "limits" | "log">,
): (sandboxID: string) => Promise<SandboxUsage | null> {
  let isKnown = true;
  return async (sandboxID) => {
    if (!isKnown) return null;
    try {
      const reading = (await connect()).cpClient.sandboxGetResourceUsage({ sandboxId: sandboxID });
      const limit = { clock, limitMs: limits.callMs, doing: `Asking what sandbox ${sandboxID} has used` };
      const { cpuCoreNanosecs, memGibNanosecs, gpuNanosecs } = await within(reading, limit);
      const [cpuCoreSeconds, memoryGiBSeconds, gpuSeconds] = [cpuCoreNanosecs, memGibNanosecs, gpuNanosecs].map(
        (nanoseconds) => (Number.isFinite(nanoseconds) && nanoseconds > 0 ? nanoseconds / 1e9 : 0),
      ) as [number, number, number];
      return { cpuCoreSeconds, memoryGiBSeconds, gpuSeconds };
    } catch (error) {
      if (statusOf(error) === UNIMPLEMENTED) isKnown = false;
      log("debug", "The meter of a sandbox could not be read", { sandboxID, error: messageOf(error) });
      return null;
    }
  };
}
