import type { Action } from "./keys.ts";
import type { Looks } from "./looks.ts";

/** What stays when the view is left for a job's conversation, and how keys reach it. */
export interface Memory {
  looks(): Looks;
  setLooks(change: (before: Looks) => Looks): void;
  /** Of the view on the screen; null = it is not, or it has failed. */
  act: ((action: Action) => void) | null;
}
