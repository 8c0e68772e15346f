import { measureCompute } from "../../core/cost.ts";
import type { Job } from "../../core/job.ts";
import type { Limits } from "../../core/limits.ts";
import type { Sandbox, SandboxUsage } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { SessionJobs } from "../session/session-jobs.ts";

/** Records what sandboxes cost by their providers' meters. */
export interface Meter {
  /**
   * Records what the job's sandbox has cost so far, where its provider has a meter. Never rejects.
   * @returns what the meter said; null = nothing
   */
  measure(sessionJobs: SessionJobs, jobID: string, sandbox: Sandbox): Promise<SandboxUsage | null>;
  /**
   * Another job gets the sandbox: what it has used until now is not that job's. Never rejects.
   * @param usage what the meter has just said; without it, it is asked
   */
  beginAnew(sandbox: Sandbox, usage?: SandboxUsage | null): Promise<void>;
}

export interface MeterDeps {
  readonly limits: Pick<Limits, "meteredUsd">;
  readonly clock: Clock;
  readonly log: Log;
}

export function createMeter({ limits, clock, log }: MeterDeps): Meter {
  const before = new WeakMap<Sandbox, SandboxUsage>();
  return {
    async measure(sessionJobs, jobID, sandbox) {
      try {
        const usage = await sandbox.usage?.();
        if (!usage) return null;
        const own = without(usage, before.get(sandbox));
        const now = clock.now();
        sessionJobs.update(jobID, (job) => {
          const { since } = job.compute;
          const usd = since === null || !isCounted(job, sandbox.id) ? null : limits.meteredUsd(job, own, now - since);
          return usd === null ? job : { ...job, compute: measureCompute(job.compute, usd, now) };
        });
        return usage;
      } catch (error) {
        log("warn", "could not record what a sandbox has cost", {
          jobID,
          sandboxID: sandbox.id,
          reason: String(error),
        });
        return null;
      }
    },
    async beginAnew(sandbox, known) {
      const usage = known ?? (await sandbox.usage?.().catch(() => null));
      if (usage) before.set(sandbox, usage);
    },
  };
}

/** Whether the job's present cost is that of this sandbox: a job that is woken has another while the former is still ended. */
export const isCounted = ({ sandbox }: Job, sandboxID: string): boolean =>
  sandbox.kind !== "live" || sandbox.id === sandboxID;

const without = (usage: SandboxUsage, former: SandboxUsage | undefined): SandboxUsage =>
  former === undefined
    ? usage
    : {
        cpuCoreSeconds: usage.cpuCoreSeconds - former.cpuCoreSeconds,
        memoryGiBSeconds: usage.memoryGiBSeconds - former.memoryGiBSeconds,
        gpuSeconds: usage.gpuSeconds - former.gpuSeconds,
      };
