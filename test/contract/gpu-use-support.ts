import { createGpuSampler } from "../../src/jobs/sandbox/gpu-sampler.ts";
import type { SessionJobs } from "../../src/jobs/session/session-jobs.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { AT, jobIn } from "../unit/views/job-in.ts";

/** What a sandbox of a job in which a command runs answers first when it is asked how busy its GPUs are. */
export async function firstGpuAnswer(sandbox: Sandbox) {
  let job = jobIn({ kind: "running", leaseID: "lease_1", since: AT });
  const { promise, resolve } = Promise.withResolvers<void>();
  const sessionJobs = {
    get: () => job,
    update(_: string, change: (before: typeof job) => typeof job) {
      job = change(job);
      if (job.gpuUse && job.gpuUse.samples + job.gpuUse.failures + Number(job.gpuUse.isMissing) > 0) resolve();
      return job;
    },
  } as unknown as SessionJobs;
  const sampler = createGpuSampler({ clock: systemClock, log: () => {} });
  const stop = sampler.follow({ sessionJobs, job, sandbox, isBusy: () => true, isFoundAgain: false });
  await promise;
  stop();
  return job.gpuUse;
}
