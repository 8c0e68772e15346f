import type { Options } from "../../config/schema.ts";
import type { Clock } from "../../shared/clock.ts";
import type { Log } from "../../shared/log.ts";
import type { CreationLimiter } from "../creation-limiter.ts";
import type { Credentials } from "./credentials.ts";
import type { ModalLimits } from "./limits.ts";

export interface ModalProviderDeps {
  readonly options: Options["modal"];
  readonly credentials: Credentials;
  /** As in `ModalAccessDeps`. */
  readonly readCredentials?: () => Credentials | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Unique ids of `[A-Za-z0-9_-]`. */
  readonly ids: () => string;
  /** Gives creations their turns; by default one of this provider alone. */
  readonly limiter?: CreationLimiter;
  readonly limits?: Partial<ModalLimits>;
  /** Folder for the tars of jobs, absolute; by default none are kept. */
  readonly tarFolder?: string;
  readonly tarLimitBytes?: number;
  /** Replaces `import("modal")` in tests. */
  readonly load?: () => Promise<unknown>;
}
