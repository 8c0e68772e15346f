import type { ModalClient, Sandbox } from "modal";
import type { Log } from "../../shared/log.ts";
import { within } from "../../shared/time-limit.ts";
import type { ListedSandbox } from "../port.ts";
import { endSandbox } from "./end-sandbox.ts";
import type { CallDeps } from "./limits.ts";
import { listSandboxes } from "./listing.ts";
import { isNoMore, kindOf, messageOf } from "./modal-error.ts";

/** Where an orphan may be: a sandbox of ours that no job knows, because the reply to its creation was lost or came too late. */
export interface OrphanName {
  readonly app: string;
  readonly appID: string;
  /** Modal environment; null = that of the client. */
  readonly environment: string | null;
  readonly name: string;
  /** Tags that mark it as ours. */
  readonly tags: Readonly<Record<string, string>>;
  /** Told of it once it has been ended; absent = nobody wants to know. */
  readonly onEnded?: ((left: ListedSandbox) => void) | undefined;
}

/**
 * Ends the sandbox of that name if it has all these tags.
 * @returns whether there was one
 * @throws what the SDK throws
 */
export async function endOrphan(
  client: ModalClient,
  { app, appID, environment, name, tags, onEnded }: OrphanName,
  deps: CallDeps,
): Promise<boolean> {
  const limit = { clock: deps.clock, limitMs: deps.limits.callMs, doing: `Looking for sandbox ${name}` };
  let found: Sandbox;
  try {
    found = await within(client.sandboxes.fromName(app, name, environment === null ? {} : { environment }), limit);
  } catch (error) {
    if (isNoMore(kindOf(error))) return false;
    throw error;
  }
  const foundTags = await within(found.getTags(), limit);
  if (!Object.entries(tags).every(([key, value]) => foundTags[key] === value)) {
    found.detach();
    return false;
  }
  const listed = onEnded
    ? await listSandboxes(client, appID, environment, deps).catch((error: unknown) => {
        deps.log("warn", "What an orphaned sandbox has cost is not known", { name, error: messageOf(error) });
        return [];
      })
    : [];
  await endSandbox(found, deps);
  const left = listed.find(({ id }) => id === found.sandboxId);
  if (left) onEnded?.(left);
  deps.log("info", "An orphaned sandbox was ended", { sandboxID: found.sandboxId, name });
  return true;
}

/** Logs that ending an orphan failed, for calls that nobody waits for. */
export const reportOrphan = (log: Log, name: string) => (error: unknown) =>
  log("warn", "An orphaned sandbox could not be ended; its own time limits will end it", {
    name,
    error: messageOf(error),
  });
