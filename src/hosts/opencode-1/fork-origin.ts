import type { ForkOrigin } from "../../tools/tool.ts";
import { type HostClient, unwrap } from "./host-client.ts";

/**
 * The session that another one was forked from. OpenCode does not record it, but copies every message: what
 * `agents_start` answered names the session it was called in. No model can write there.
 * @param jobIDs jobs of which one must have been started there; any job without ids
 * @source OpenCode 1.18.33, verified
 */
export async function findForkOrigin(
  client: Pick<HostClient, "session">,
  sessionID: string,
  jobIDs?: readonly string[],
): Promise<ForkOrigin | null> {
  const doing = `read the session ${sessionID}`;
  const messages = await unwrap(client.session.messages({ sessionID }), "not_found", doing);
  for (const part of messages.flatMap(({ parts }) => parts)) {
    if (part.type !== "tool" || part.tool !== "agents_start" || part.state.status !== "completed") continue;
    const { session, jobs } = part.state.metadata as { session?: unknown; jobs?: readonly { id?: unknown }[] };
    if (typeof session !== "string" || session === sessionID || !Array.isArray(jobs)) continue;
    if (jobIDs && !jobs.some(({ id }) => jobIDs.includes(String(id)))) continue;
    const { data } = await client.session.get({ sessionID: session });
    return { sessionID: session, title: data?.title ?? null };
  }
  return null;
}
