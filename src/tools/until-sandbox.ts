import type { Job } from "../core/job.ts";
import { unlessAborted } from "../core/unless-aborted.ts";
import type { OldFiles } from "../jobs/project/old-files.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { sleep } from "../shared/clock.ts";
import { describeStep } from "../views/job-view.ts";
import type { ToolCall } from "./tool.ts";

/** Interval at which what the sandbox waits for is shown anew. */
const SHOW_MS = 5_000;

/**
 * Waits for the sandbox of a job whose model works already while that is being made, and shows so below the call. Whoever
 * calls this stops the call's progress before it answers.
 * @returns whether there was anything to wait for
 * @throws what making the sandbox throws; PluginError `cancelled` when the turn is stopped
 */
export async function untilSandbox(runtime: Waited, job: Job, call: Waiting): Promise<boolean> {
  const making = job.state.kind === "starting" ? runtime.lifecycle.making(job.id) : null;
  if (!making) return false;
  await showUntil(runtime, job, call, making);
  return true;
}

/**
 * Waits until files of the job may be read that what has changed in its project since is still on its way to.
 * @returns null where its sandbox comes first
 * @throws as `untilSandbox`
 */
export async function untilOldFiles(runtime: Waited, job: Job, call: Waiting): Promise<OldFiles | null> {
  const { lifecycle } = runtime;
  const [making, oldFiles] = [lifecycle.making(job.id), lifecycle.oldFiles(job.id)];
  if (job.state.kind !== "starting" || !making || !oldFiles) return null;
  return showUntil(runtime, job, call, Promise.race([oldFiles, making.then(() => null)]));
}

type Waited = Pick<Runtime, "lifecycle" | "clock">;
type Waiting = Pick<ToolCall, "abort" | "progress">;

async function showUntil<T>({ lifecycle, clock }: Waited, { id }: Job, call: Waiting, event: Promise<T>): Promise<T> {
  const done = new AbortController();
  const show = async () => {
    while (!done.signal.aborted) {
      call.progress().show(() => {
        const step = lifecycle.creating(id);
        const title = `waiting for its sandbox: ${(step && describeStep(step, clock.now())) ?? "it is starting"}`;
        return { title, text: title, metadata: {} };
      });
      await sleep(clock, SHOW_MS, done.signal);
    }
  };
  void show();
  try {
    return await unlessAborted(event, call.abort, "it had a sandbox");
  } finally {
    done.abort();
  }
}
