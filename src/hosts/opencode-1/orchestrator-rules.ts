import type { ToolCall } from "../../tools/tool.ts";
import type { Delegation } from "./delegation.ts";
import type { HostAgents } from "./host-agents.ts";
import { forbiddenByOrchestrator, type UserRules } from "./permission-rules.ts";

/**
 * Tools that jobs of this session do not get, because the user forbids what they do to the session or its agent.
 * @throws PluginError when OpenCode does not say: what is not known to be allowed is forbidden
 */
export async function forbiddenTo(
  { sessionID, agent }: Pick<ToolCall, "sessionID" | "agent">,
  askedAs: Delegation["askedAs"],
  hostAgents: HostAgents,
  userRules: UserRules,
): Promise<readonly string[]> {
  const [agents, session] = await Promise.all([hostAgents(), askedAs(sessionID)]);
  const permission = agents.find(({ name }) => name === agent)?.permission ?? [];
  return forbiddenByOrchestrator({ name: agent, permission }, session.permission ?? [], userRules);
}
