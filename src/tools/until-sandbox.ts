import type { Job } from "../core/job.ts";
import { unlessAborted } from "../core/unless-aborted.ts";
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
export async function untilSandbox(
  { lifecycle, clock }: Pick<Runtime, "lifecycle" | "clock">,
  { id, state }: Job,
  call: Pick<ToolCall, "abort" | "progress">,
): Promise<boolean> {
  const making = state.kind === "starting" ? lifecycle.making(id) : null;
  if (!making) return false;
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
    await unlessAborted(making, call.abort, "it had a sandbox");
    return true;
  } finally {
    done.abort();
  }
}
