import type { ToolCall } from "../../tools/tool.ts";
import { type HostClient, unwrap } from "./host-client.ts";
import { forbiddenByOrchestrator, type UserRules } from "./permission-rules.ts";

/**
 * Tools that no job has which this session starts: the user forbids to its agent, or to the session, what they do.
 * @throws PluginError when the host does not say: what is not known to be allowed is not
 */
export async function forbiddenTo(
  { sessionID, agent }: Pick<ToolCall, "sessionID" | "agent">,
  client: HostClient,
  userRules: UserRules,
): Promise<readonly string[]> {
  const doing = `read what the user forbids to the session ${sessionID}`;
  const [agents, session] = await Promise.all([
    unwrap(client.app.agents(), "session_create_failed", doing),
    unwrap(client.session.get({ sessionID }), "session_create_failed", doing),
  ]);
  const permission = agents.find(({ name }) => name === agent)?.permission ?? [];
  return forbiddenByOrchestrator({ name: agent, permission }, session.permission ?? [], userRules);
}
