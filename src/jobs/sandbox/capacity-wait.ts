import { PluginError } from "../../shared/error-code.ts";

/** No GPU that the job would take is free now, and it may still wait: it goes back to the queue and asks again. */
export class CapacityWait extends PluginError {
  /** Since when it waits, epoch ms. */
  readonly since: number;
  /** When it is to ask again, epoch ms. */
  readonly retryAt: number;

  constructor(message: string, { since, retryAt, cause }: { since: number; retryAt: number; cause: unknown }) {
    super("no_capacity", message, { cause, retryable: true });
    this.since = since;
    this.retryAt = retryAt;
  }
}
