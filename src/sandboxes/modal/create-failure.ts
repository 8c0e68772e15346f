import { PluginError } from "../../shared/error-code.ts";
import type { Credentials } from "./credentials.ts";
import { isRetryable, kindOf, wordsOf } from "./modal-error.ts";

export interface CreateContext {
  /** What was attempted: "create sandbox job_1". */
  readonly doing: string;
  readonly credentials: Credentials;
  /** The GPU asked for, if one was. */
  readonly gpu?: string | undefined;
  /** Nothing was asked for yet but answers. */
  readonly isLookup?: boolean;
  /** What to say when the thing looked for does not exist. */
  readonly missing?: string;
}

/** What kept a sandbox from being made, as the error of the contract, with what the user can do. */
export function createFailure(
  error: unknown,
  { doing, credentials, gpu, missing, isLookup = false }: CreateContext,
): PluginError {
  if (error instanceof PluginError) return error;
  const kind = kindOf(error);
  const said = wordsOf(error);
  const retryable = isRetryable(kind);
  const fail = (
    code: "sandbox_create_failed" | "sandbox_create_timeout" | "no_capacity" | "cancelled",
    message: string,
  ) => new PluginError(code, message, { cause: error, retryable });
  switch (kind) {
    case "unauthorized":
      return fail(
        "sandbox_create_failed",
        `Modal refused the credentials of ${credentials.source} (${said}): they are wrong, expired or of another workspace. Run "modal setup", or set MODAL_TOKEN_ID and MODAL_TOKEN_SECRET.`,
      );
    case "unreachable":
      return fail(
        "sandbox_create_failed",
        `Modal could not be reached to ${doing} (${said}). Check the network, proxy settings and https://status.modal.com.`,
      );
    case "quota":
      return fail(
        "no_capacity",
        `A limit of the Modal workspace does not let us ${doing} (${said}). End other sandboxes, lower maxRunningJobs or gpuLimits, or raise the limit in the workspace's settings.`,
      );
    case "capacity":
      return fail("no_capacity", `Modal has no ${gpu ?? "machine"} free to ${doing} (${said}).`);
    case "timed_out":
      if (isLookup)
        return fail(
          "sandbox_create_timeout",
          `Modal did not answer in time to ${doing} (${said}). Check the network, proxy settings and https://status.modal.com.`,
        );
      return gpu === undefined
        ? fail("sandbox_create_timeout", `Could not ${doing}: ${said}. The limit is modal.createTimeoutSeconds.`)
        : fail(
            "no_capacity",
            `Modal had no ${gpu} free in time to ${doing}: ${said}. The limit is modal.createTimeoutSeconds.`,
          );
    case "abandoned":
      return fail("cancelled", `It was cancelled to ${doing}.`);
    case "gone":
      return fail("sandbox_create_failed", missing ?? `Could not ${doing}: ${said}.`);
    case "invalid":
      return fail(
        "sandbox_create_failed",
        gpu === undefined
          ? `Modal did not accept what was asked to ${doing}: ${said}`
          : `Modal did not accept what was asked to ${doing}, which may be the GPU type ${gpu}: ${said}`,
      );
    default:
      return fail("sandbox_create_failed", `Could not ${doing}: ${said}`);
  }
}
