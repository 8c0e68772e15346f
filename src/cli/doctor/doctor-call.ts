import type { Clock } from "../../shared/clock.ts";

export interface DoctorCall {
  /** Where OpenCode would be started, absolute. */
  readonly directory: string;
  /** Replaces the options' state directory; null = the options' own. */
  readonly stateDir: string | null;
  /** Whether a sandbox on Modal is tried too, which costs money. */
  readonly tryModal: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A private folder for what the checks write. */
  readonly scratch: string;
  readonly clock: Clock;
}
