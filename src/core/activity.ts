/** What a job is doing. Built from events and not stored: it starts empty after a restart. */
export interface Activity {
  /** Name of the running tool, the newest of several; null when none runs. */
  readonly tool: string | null;
  /** The host waits for an answer of the user's, and the running tool with it. */
  readonly isAsking?: boolean;
  /** Set while the host waits to repeat a failed model request. `nextAt` in epoch ms. */
  readonly retry: { readonly attempt: number; readonly message: string; readonly nextAt: number } | null;
  /** Latest sign of life since the latest prompt, that prompt included; null before the first prompt. Epoch ms. */
  readonly lastActivityAt: number | null;
  /** Of a run: the newest line of its output. Absent = none yet. */
  readonly line?: string | null;
}

export const NO_ACTIVITY: Activity = { tool: null, retry: null, lastActivityAt: null };
