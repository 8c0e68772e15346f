import { formatGpu, type GpuRequest } from "../../config/gpu.ts";
import { judgeDevices, uncheckedNote } from "../../core/gpu-devices.ts";
import type { Job } from "../../core/job.ts";
import type { Sandbox, SandboxGpu } from "../../sandboxes/port.ts";
import { PluginError } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";

export interface GrantedGpuDeps {
  /** Charges the job for a sandbox that it did not get. Never throws. */
  readonly charge: (sandbox: Sandbox, gpu: GpuRequest | null) => void;
  readonly log: Log;
}

/**
 * Ends a sandbox that came with other or fewer GPUs than asked for; the request then counts as not granted.
 * @throws PluginError `no_capacity`, which says what came. Not retryable: whoever asks again at once pays again for the same.
 */
export async function requireGranted(
  { charge, log }: GrantedGpuDeps,
  job: Job,
  gpu: GpuRequest,
  sandbox: Sandbox,
): Promise<void> {
  const verdict = judgeDevices(gpu, sandbox.gpu?.devices ?? []);
  if (verdict.kind !== "refused") return;
  await sandbox.terminate().catch((error) => {
    // It carries its job's tags, so garbage collection ends it.
    log("error", "could not end a sandbox with the wrong GPUs", { sandboxID: sandbox.id, reason: String(error) });
  });
  charge(sandbox, gpu);
  const advice = gpu.exact ? ` Ask again later, or for "${gpu.type}" if a better type will do.` : " Ask again later.";
  const message = `${formatGpu(gpu)} was asked for ${job.id}, but its sandbox came with ${verdict.came}, and was ended.${advice}`;
  throw new PluginError("no_capacity", message, { retryable: false });
}

/** What a job should know of GPUs that could not be checked. */
export const gpuNotes = (gpu: SandboxGpu | null): readonly string[] =>
  gpu?.granted && judgeDevices(gpu.granted, gpu.devices).kind === "unknown" ? [uncheckedNote(gpu.granted)] : [];
