import type { Sandbox } from "modal";
import type { Clock } from "../../shared/clock.ts";
import { PluginError } from "../../shared/error-code.ts";
import { DeadlineError, within } from "../../shared/time-limit.ts";
import type { CallWatch } from "./call-watch.ts";

export interface HeldCreation {
  readonly watch: CallWatch;
  readonly clock: Clock;
  /** Subject of messages: "Creating sandbox job_1". */
  readonly doing: string;
  /** From the request to Modal's answer that it has it. */
  readonly answerMs: number;
  /** From then on until there is a machine. */
  readonly waitMs: number;
  /** The GPU asked for, such as "H100:8". */
  readonly gpu: string;
  /** Sentence about where it was asked for, to add when there is none; "" for anywhere. */
  readonly place: string;
  readonly signal?: AbortSignal | undefined;
  /** Modal has the request; the sandbox of this id waits for a machine. */
  readonly onAccepted: (sandboxID: string) => void;
  /** Gets the sandbox if it arrives after the wait has ended. */
  readonly onLate: (sandbox: Sandbox) => void;
}

/**
 * Waits for a sandbox with a GPU, which Modal queues until there is a machine: one request is held all the while.
 * @throws PluginError `no_capacity` when there was no machine in time; DeadlineError when Modal did not answer in time;
 * AbandonedError; what the SDK throws
 * @source Modal JS SDK 0.11.1, SandboxService.create: SandboxCreate answers at once, then SandboxGetTaskId is asked every 500
 * ms until there is a task, for at most 21 minutes
 */
export async function holdCreation(create: () => Promise<Sandbox>, held: HeldCreation): Promise<Sandbox> {
  const { clock, doing, signal, gpu, place, waitMs } = held;
  let accept = () => {};
  const accepted = new Promise<null>((resolve) => {
    accept = () => resolve(null);
  });
  const creating = held.watch.during((method, reply) => {
    if (method !== "SandboxCreate") return;
    held.onAccepted((reply as { sandboxId: string }).sandboxId);
    accept();
  }, create);
  try {
    const limit = { clock, doing, signal };
    const early = await within(Promise.race([creating, accepted]), { ...limit, limitMs: held.answerMs });
    if (early !== null) return early;
    return await within(creating, { ...limit, limitMs: waitMs }).catch((error: unknown) => {
      throw error instanceof DeadlineError ? noCapacity(gpu, place, waitMs, error) : error;
    });
  } catch (error) {
    creating.then(held.onLate, () => {});
    throw error;
  }
}

const noCapacity = (gpu: string, place: string, waitMs: number, cause: unknown): PluginError =>
  new PluginError(
    "no_capacity",
    `Modal had no ${gpu} free within ${inWords(waitMs)}. The limit is modal.gpuWaitMinutes, shared by all GPUs of a preference list. Name further types ("H100:8|H200:8"), ask for fewer, or try again later.${place}`,
    { cause, retryable: true },
  );

const inWords = (ms: number): string => {
  const [count, unit] = ms >= 60_000 ? [Math.round(ms / 6_000) / 10, "minute"] : [Math.round(ms / 100) / 10, "second"];
  return `${count} ${count === 1 ? unit : `${unit}s`}`;
};
