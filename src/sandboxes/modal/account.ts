import { oneLine } from "../../shared/plain-text.ts";
import { within } from "../../shared/time-limit.ts";
import { createFailure } from "./create-failure.ts";
import { ModalAccess, type ModalAccessDeps } from "./modal-client.ts";
import { statusOf } from "./modal-error.ts";

/** gRPC's status for a call that the server does not know. */
const UNIMPLEMENTED = 12;

/**
 * Asks Modal whose credentials these are, which creates nothing and costs nothing.
 * @returns name of the workspace; null when the service answers without saying it
 * @throws PluginError `sandbox_create_failed`, `sandbox_create_timeout`, with the remedy
 * @source Modal JS SDK 0.11.1: TokenInfoGet, which `modal token info` uses too
 */
export async function askAccount(deps: ModalAccessDeps): Promise<string | null> {
  const doing = "ask Modal whose credentials these are";
  const access = new ModalAccess(deps);
  try {
    const asked = access.client().then((client) => client.cpClient.tokenInfoGet({}));
    const limit = { clock: deps.clock, limitMs: deps.limits.callMs, doing: "Asking Modal" };
    const { workspaceName } = await within(asked, limit);
    return workspaceName ? oneLine(workspaceName, 80) : null;
  } catch (error) {
    if (statusOf(error) === UNIMPLEMENTED) return null;
    throw createFailure(error, { doing, credentials: access.credentials, isLookup: true });
  } finally {
    await access.close();
  }
}
