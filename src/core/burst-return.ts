/** What of a command's files came back, and what did not. Paths have one character per byte. */
export interface Returned {
  readonly put: number;
  readonly removed: number;
  readonly beside: readonly { readonly path: string; readonly as: string }[];
  /** Removed by the command, changed by the job: they stay. */
  readonly kept: readonly string[];
  /** Too large together. */
  readonly left: readonly { readonly path: string; readonly bytes: number }[];
  /** Neither file nor folder nor link. */
  readonly special: readonly string[];
  /** Could not be read there, or put in place here. */
  readonly failed: readonly string[];
}

export const NOTHING_RETURNED: Returned = {
  put: 0,
  removed: 0,
  beside: [],
  kept: [],
  left: [],
  special: [],
  failed: [],
};

/** @param snapshot id of one that holds what did not come back; null = there is none */
export type BurstReturn =
  | { readonly kind: "returned"; readonly files: Returned; readonly snapshot: string | null }
  /** Nothing came back. */
  | { readonly kind: "failed"; readonly why: string; readonly snapshot: string | null };

/** What a former process left of a job's burst. */
export interface LeftBehind {
  readonly command: string;
  /** Whether the command had ended and its files were on their way, or had come back as a whole; else it was cut off, or none ran. */
  readonly was: "running" | "returning" | "returned" | "idle";
}
