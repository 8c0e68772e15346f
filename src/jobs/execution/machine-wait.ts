import type { GpuRequest } from "../../config/gpu.ts";
import type { GpuLimits } from "../../core/admission.ts";
import { gpuProblem } from "../../core/gpu-problem.ts";
import type { Job } from "../../core/job.ts";
import type { MachineGpus } from "../../sandboxes/machine-gpus.ts";
import type { Failure } from "../../shared/error-code.ts";

/** Queued jobs that are to have GPUs of this machine, of which nobody may have asked it yet. */
export interface MachineWait {
  /** Asks this machine for its GPUs if the job needs some and nobody has. */
  lookFor(job: Job | undefined): void;
  /** Why the job will never have GPUs, such as after a GPU was taken out; null = it may wait. */
  whyNever(job: Job, gpus: readonly GpuRequest[]): Failure | null;
}

export interface MachineWaitDeps {
  readonly machineGpus: MachineGpus;
  readonly limits: GpuLimits;
  readonly onRead: () => void;
}

export function createMachineWait({ machineGpus, limits, onRead }: MachineWaitDeps): MachineWait {
  return {
    lookFor(job) {
      if (job?.provider !== "local" || job.task.gpu === null || machineGpus.known() !== null) return;
      void machineGpus.read().then(onRead);
    },
    whyNever({ provider, task }, gpus) {
      const machine = machineGpus.known();
      if (provider !== "local" || task.gpu === null || machine === null) return null;
      const message = gpuProblem(task.gpu, gpus, { provider, machine, gpuLimits: limits });
      return message === null ? null : { code: "no_capacity", message, retryable: false };
    },
  };
}
