import { PluginError } from "../../shared/error-code.ts";
import { AccountLimitError } from "../account-limit.ts";
import { UnreachableError } from "../unreachable.ts";
import { type Asked, NOTHING_ASKED, renderAsked, renderPlace, renderUnmountable } from "./asked-of-modal.ts";
import type { Credentials } from "./credentials.ts";
import { isAway, isRetryable, kindOf, messageOf } from "./modal-error.ts";

export interface CreateContext {
  /** What was attempted, after "could not": "create sandbox job_1". */
  readonly doing: string;
  readonly credentials: Credentials;
  /** The requested GPU, such as "H100:8". */
  readonly gpu?: string | undefined;
  /** What the machine asks for that Modal may not have. */
  readonly asked?: Asked;
  /** The call only looked something up, so nothing can have been created. */
  readonly isLookup?: boolean;
  /** Which limit passed, a sentence. */
  readonly limit?: string;
  /** The message for when what was looked up does not exist. */
  readonly missing?: string;
}

const CHECK = "Check the network, proxy settings and https://status.modal.com.";
const CREATE_LIMIT = "The limit is modal.createTimeoutSeconds.";

/** The contract's error for a failed creation, with what the user can do. A `PluginError` is returned unchanged. */
export function createFailure(
  error: unknown,
  { doing, credentials, gpu, asked = NOTHING_ASKED, limit = CREATE_LIMIT, missing, isLookup = false }: CreateContext,
): PluginError {
  if (error instanceof PluginError) return error;
  const kind = kindOf(error);
  const detail = messageOf(error);
  const retryable = isRetryable(kind);
  const fail = (
    code: "sandbox_create_failed" | "sandbox_create_timeout" | "no_capacity" | "cancelled",
    message: string,
    mayRetry = retryable,
  ) => new PluginError(code, message, { cause: error, retryable: mayRetry });
  const noAnswer = (code: "sandbox_create_failed" | "sandbox_create_timeout", message: string) =>
    isAway(error) ? new UnreachableError(code, message, { cause: error }) : fail(code, message);
  // Whoever asked for this GPU may have others to ask for.
  if (gpu !== undefined && (kind === "unauthorized" || kind === "invalid") && isAbout(gpu, detail))
    return fail(
      "no_capacity",
      `Modal does not give this workspace ${gpu} (${detail}). Name other types ("H100|A100-80GB"), or ask Modal for access.`,
      false,
    );
  switch (kind) {
    case "unauthorized":
      return fail(
        "sandbox_create_failed",
        `Modal refused the credentials of ${credentials.source} (${detail}): they are wrong, expired or of another workspace, or the clock of this machine is wrong. Run "modal setup", or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET.${asked.all.length === 0 ? "" : ` If they are right, this workspace may not use all of ${asked.all.join(", ")}.`}`,
      );
    case "unreachable":
      return noAnswer("sandbox_create_failed", `Modal could not be reached to ${doing} (${detail}). ${CHECK}`);
    case "quota":
      return new AccountLimitError(
        `A limit of the Modal workspace does not let us ${doing} (${detail}). End other sandboxes, lower maxRunningJobs or gpuLimits, or raise the limit in the workspace's settings.`,
        { cause: error },
      );
    case "rate":
      return fail("sandbox_create_failed", `Modal allows no more calls of this kind just now to ${doing} (${detail}).`);
    case "spend":
      return fail(
        "sandbox_create_failed",
        `The Modal workspace has reached its spend limit, so Modal does not let us ${doing} (${detail}). Raise the limit or add credit at https://modal.com/settings/usage, or wait for the next billing cycle; then wake the job with a message.`,
      );
    case "ended":
      return fail(
        "sandbox_create_failed",
        `A sandbox ended before we could ${doing} (${detail}).${renderUnmountable(asked)}`,
        true,
      );
    case "capacity":
      return fail("no_capacity", `Modal has no ${gpu ?? "machine"} free to ${doing} (${detail}).${renderPlace(asked)}`);
    case "timed_out":
      if (isLookup)
        return noAnswer("sandbox_create_timeout", `Modal did not answer in time to ${doing} (${detail}). ${CHECK}`);
      return fail("sandbox_create_timeout", `Could not ${doing}: ${detail}. ${limit}`);
    case "abandoned":
      return fail("cancelled", `Cancelled while trying to ${doing}.`);
    case "gone":
    case "expired":
      return fail("sandbox_create_failed", missing ?? `Could not ${doing}: ${detail}.${renderUnmountable(asked)}`);
    case "invalid":
      return fail(
        "sandbox_create_failed",
        `Modal did not accept what was asked to ${doing}: ${detail.replace(/([^.!?])$/, "$1.")}${renderAsked(asked)}`,
      );
    default:
      return fail("sandbox_create_failed", `Could not ${doing}: ${detail}`);
  }
}

/** Whether a refusal names the GPU that was asked for: "B200" or "A100" for "A100-80GB:8". */
function isAbout(gpu: string, refusal: string): boolean {
  const [family = ""] = /^\w+/.exec(gpu) ?? [];
  return new RegExp(`\\b${family}\\b`, "i").test(refusal);
}
