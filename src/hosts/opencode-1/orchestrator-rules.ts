import type { ToolCall } from "../../tools/tool.ts";
import { type HostClient, unwrap } from "./host-client.ts";
import { forbiddenByOrchestrator, type UserRules } from "./permission-rules.ts";

/**
 * Tools that jobs of this session do not get, because the user forbids what they do to the session or its agent.
 * @throws PluginError when OpenCode does not say: what is not known to be allowed is forbidden
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
