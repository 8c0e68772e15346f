import type { Credentials } from "../../src/sandboxes/modal/credentials.ts";

/** AppStopSource, "CLI" */
const BY_A_USER = 1;

/** Stops an app, which has no sandboxes any more. @returns what came of it, in words; never rejects */
export async function stopApp(name: string, credentials: Credentials): Promise<string> {
  const { ModalClient } = await import("modal");
  const { tokenId, tokenSecret } = credentials.kind === "token" ? credentials : {};
  const client = new ModalClient({ ...(tokenId && tokenSecret && { tokenId, tokenSecret }) });
  try {
    const { appId } = await client.apps.fromName(name);
    await client.cpClient.appStop({ appId, source: BY_A_USER });
    return `App ${name} is stopped.`;
  } catch (error) {
    return `App ${name} holds nothing any more, but is not stopped (${(error as Error).message}): "modal app stop ${name}".`;
  } finally {
    client.close();
  }
}
