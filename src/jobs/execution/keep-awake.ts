import type { Environment } from "../../config/environment.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { SandboxLifecycle } from "../sandbox/lifecycle.ts";
import type { WaitingJobs } from "./waiting-jobs.ts";

export interface KeepAwakeDeps {
  readonly waiting: Pick<WaitingJobs, "on">;
  readonly lifecycle: Pick<SandboxLifecycle, "live">;
  readonly environments: Readonly<Record<string, Pick<Environment, "idleTimeoutMinutes">>>;
  readonly clock: Clock;
  readonly log: Log;
}

/** So that one command that fails does not yet let a sandbox end. */
const COMMANDS_IN_IDLE_TIME = 3;
/** However short the idle time is. */
const LEAST_PAUSE_MS = 1_000;

/**
 * Modal ends a sandbox in which no command has run for a time. An agent that waits for its runs uses its sandbox again
 * afterwards, so that meanwhile a command that does nothing runs there now and then.
 */
export function keepAwakeWhileWaiting({ waiting, lifecycle, environments, clock, log }: KeepAwakeDeps): void {
  const minutes = Math.min(...Object.values(environments).map(({ idleTimeoutMinutes }) => idleTimeoutMinutes));
  const everyMs = Math.max(LEAST_PAUSE_MS, (minutes * 60_000) / COMMANDS_IN_IDLE_TIME);
  /** Functions that end it, by job. */
  const kept = new Map<string, () => void>();
  const keep = (jobID: string) => {
    const cancel = clock.after(everyMs, () => {
      keep(jobID);
      const sandbox = lifecycle.live(jobID);
      if (sandbox)
        touch(sandbox).catch((error: unknown) =>
          log("debug", "a waiting job's sandbox could not be kept awake", { jobID, reason: String(error) }),
        );
    });
    kept.set(jobID, cancel);
  };
  waiting.on(({ jobID, isWaiting }) => {
    kept.get(jobID)?.();
    kept.delete(jobID);
    if (isWaiting) keep(jobID);
  });
}

async function touch(sandbox: Sandbox): Promise<void> {
  const { output, exit } = await sandbox.start({ argv: ["true"], noInput: true });
  for await (const _ of output); // it has none, but a command ends only when its output was read
  await exit;
}
