import type { Clock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import type { ProgressView, ToolCall } from "./tool.ts";

/** Rules answer within this time, people do not. */
const ASKED_MS = 50;

/**
 * Shows what is wanted below the call while somebody is asked for it, since the host's question names only the permission.
 * Where the user's rules answer, nobody is asked and nothing is shown: that would cost the host three requests.
 */
export async function showWhileAsking(
  clock: Pick<Clock, "after">,
  call: Pick<ToolCall, "progress">,
  view: ProgressView,
  ask: () => Promise<void>,
): Promise<void> {
  const progress = call.progress();
  let shown: Promise<void> | null = null;
  const cancel = clock.after(ASKED_MS, () => {
    shown = progress.showNow(() => view);
  });
  try {
    await ask();
  } finally {
    cancel();
    await shown;
    await progress.stop();
  }
}

/** The user refused. The host tells the model so in its own way; see the host's adapter. */
export class PermissionRefused extends Error {
  override readonly name = "PermissionRefused";
  constructor(permission: string) {
    super(`The user refused ${permission}.`);
  }
}

/**
 * Returns once the user allows `permission`, which also holds without a question where no rule of the user's names it.
 * A call whose turn is stopped meanwhile is refused, so that a late answer starts nothing.
 * @throws PermissionRefused; Error when the turn was stopped; PluginError `not_found` when the host cannot ask
 */
export async function requirePermission(
  call: Pick<ToolCall, "ask" | "abort">,
  permission: string,
  patterns: readonly string[],
  metadata: Record<string, unknown> = {},
): Promise<void> {
  const shown = [...new Set(patterns.map((pattern) => oneLine(pattern, 200)))];
  const answer = await call.ask({ permission, patterns: shown.length > 0 ? shown : ["*"], metadata });
  if (answer === "refused") throw new PermissionRefused(permission);
  if (call.abort.aborted) {
    throw new Error(`The turn was stopped before anybody had answered whether ${permission} is allowed.`);
  }
  if (answer === "cannot_ask") {
    const message = `The user wants to be asked before ${permission}, and nobody can be asked here. Tell the user, who can allow it in the configuration ("permission").`;
    throw new PluginError("not_found", message, { retryable: false });
  }
}
