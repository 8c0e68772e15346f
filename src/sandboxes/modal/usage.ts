import type { ModalClient } from "modal";
import { within } from "../../shared/time-limit.ts";
import type { SandboxUsage } from "../port.ts";
import type { CallDeps } from "./limits.ts";
import { messageOf } from "./modal-error.ts";

/**
 * Reads the meter of a live sandbox; null when Modal does not tell. Cores and memory are counted as billed, the larger of
 * request and use. Never rejects.
 * @source Modal's protocol, SandboxGetResourceUsage, and the discussion of it in modal-client #2966; users report that it
 * runs a minute or more behind, and knows nothing of a sandbox that has ended
 */
export async function readUsage(
  connect: () => Promise<ModalClient>,
  sandboxID: string,
  { clock, limits, log }: CallDeps,
): Promise<SandboxUsage | null> {
  try {
    const reading = (await connect()).cpClient.sandboxGetResourceUsage({ sandboxId: sandboxID });
    const limit = { clock, limitMs: limits.callMs, doing: `Asking what sandbox ${sandboxID} has used` };
    const { cpuCoreNanosecs, memGibNanosecs, gpuNanosecs } = await within(reading, limit);
    const [cpuCoreSeconds, memoryGiBSeconds, gpuSeconds] = [cpuCoreNanosecs, memGibNanosecs, gpuNanosecs].map(
      (nanoseconds) => (Number.isFinite(nanoseconds) && nanoseconds > 0 ? nanoseconds / 1e9 : 0),
    ) as [number, number, number];
    return { cpuCoreSeconds, memoryGiBSeconds, gpuSeconds };
  } catch (error) {
    log("debug", "The meter of a sandbox could not be read", { sandboxID, error: messageOf(error) });
    return null;
  }
}
