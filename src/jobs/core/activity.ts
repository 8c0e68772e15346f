/** What a child session does at the moment. Heard, not stored: after a restart it builds up again. */
export interface Activity {
  /** Tool that runs now, the newest of several. */
  readonly tool: string | null;
  /** The model request is being repeated. */
  readonly retry: { readonly attempt: number; readonly message: string; readonly nextAt: number } | null;
  /** Newest sign of life in the turn under way, its prompt the first; null when there is none. Epoch ms. */
  readonly lastActivityAt: number | null;
}

export const NO_ACTIVITY: Activity = { tool: null, retry: null, lastActivityAt: null };
