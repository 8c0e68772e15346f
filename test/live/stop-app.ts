import type { Credentials } from "../../src/sandboxes/modal/credentials.ts";

/** Modal's `AppStopSource` for its command line. */
const BY_A_USER = 1;

/** Stops an app that has no sandboxes left. Returns the outcome in words and never rejects. */
export async function stopApp(name: string, credentials: Credentials): Promise<string> {
  const { ModalClient } = await import("modal");
  const { tokenId, tokenSecret } = credentials.kind === "token" ? credentials : {};
  const client = new ModalClient({ ...(tokenId && tokenSecret && { tokenId, tokenSecret }) });
  try {
    const { appId } = await client.apps.fromName(name);
    await client.cpClient.appStop({ appId, source: BY_A_USER });
    return `App ${name} is stopped.`;
  } catch (error) {
    return `App ${name} is empty but could not be stopped (${(error as Error).message}). Stop it with "modal app stop ${name}".`;
  } finally {
    client.close();
  }
}
