import type { CreationStep } from "../sandboxes/creation-steps.ts";
import type { QueuePlace } from "./admission.ts";
import type { Repeats } from "./repeats.ts";

/** What a job is doing. Built from events and not stored: it starts empty after a restart. */
export interface Activity {
  /** Name of the running tool, the newest of several; null when none runs. */
  readonly tool: string | null;
  /** The host waits for an answer of the user's, and the running tool with it. */
  readonly isAsking?: boolean | undefined;
  /** Set while the host waits to repeat a failed model request. `nextAt` in epoch ms. */
  readonly retry: { readonly attempt: number; readonly message: string; readonly nextAt: number } | null;
  /** Latest sign of life since the latest prompt, that prompt included; null before the first prompt. Epoch ms. */
  readonly lastActivityAt: number | null;
  /** The call that its agent makes again and again. Absent = none. */
  readonly repeats?: Repeats | null | undefined;
  /** The newest line that its command has printed. Absent = none yet. */
  readonly line?: string | null | undefined;
  /** Of an agent: the command that its tool runs. Absent = none. */
  readonly command?: string | null | undefined;
}

export const NO_ACTIVITY: Activity = { tool: null, retry: null, lastActivityAt: null };

/** What only the process knows that runs a job, or will: what the job does, or waits for. */
export interface Doing {
  readonly place: QueuePlace | null;
  readonly live: Activity;
  /** What the creation of its sandbox is doing; null = none is under way, or nothing is known. */
  readonly creating: CreationStep | null;
  /** When the oldest request that its sandbox has not answered was made, epoch ms; null = none is open. */
  readonly pendingSince: number | null;
  /** The process id of another OpenCode that has the job and has not been heard of for a while. */
  readonly silentHolder?: string | null;
}

export const NOT_KNOWN: Doing = { place: null, live: NO_ACTIVITY, creating: null, pendingSince: null };
