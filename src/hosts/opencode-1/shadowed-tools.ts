import type { HostClient } from "./host-client.ts";
import { isJobTool } from "./worker-agent.ts";

/** Tools of jobs whose name another plugin, the project or an MCP server uses too. */
export interface ShadowedTools {
  /** Takes in a tool definition. Before every model request OpenCode defines all tools but those of MCP servers. */
  learn(tool: string, description: string): void;
  /**
   * The job's model is about to be asked, with the tools that OpenCode has gathered by now: which MCP servers there are is
   * read while it thinks. Never rejects.
   */
  beforeRequest(sessionID: string): void;
  /** In words, who may run in place of the tool; null when nobody does. */
  ownerOf(tool: string, sessionID: string): Promise<string | null>;
  forget(sessionID: string): void;
}

type Servers = NonNullable<Awaited<ReturnType<HostClient["mcp"]["status"]>>["data"]>;

/**
 * Of several tools with one name OpenCode runs the last: a later plugin's instead of ours, and an MCP server's, which
 * it names `<server>_<tool>`, instead of any. A server `sandbox` with a tool `exec` would get the calls of every job.
 * @source OpenCode 1.18.33, verified
 */
export function createShadowedTools(client: Pick<HostClient, "mcp">): ShadowedTools {
  const descriptions = new Map<string, string>();
  const definedTwice = new Set<string>();
  /** As they were at each session's latest request; null = OpenCode did not say. */
  const servers = new Map<string, Promise<Servers | null>>();
  const readServers = async (): Promise<Servers | null> =>
    (await client.mcp.status().catch(() => ({ data: undefined }))).data ?? null;
  return {
    learn(tool, description) {
      if (!isJobTool(tool)) return;
      if ((descriptions.get(tool) ?? description) !== description) definedTwice.add(tool);
      descriptions.set(tool, description);
    },
    beforeRequest: (sessionID) => void servers.set(sessionID, readServers()),
    forget: (sessionID) => void servers.delete(sessionID),
    async ownerOf(tool, sessionID) {
      if (definedTwice.has(tool)) return "another plugin or a tool of the project";
      const [server, rest] = tool.split("_", 2);
      if (server === undefined || rest === undefined) return null;
      // A server that came after the request has no tool in it; the client of one that went since is closed.
      const listed = (await servers.get(sessionID)) ?? (await readServers());
      if (!listed) return "an MCP server (OpenCode did not list its servers)";
      const status = listed[server]?.status;
      return status === undefined || status === "disabled" ? null : `the MCP server "${server}"`;
    },
  };
}
