import type { Hooks } from "@opencode-ai/plugin";
import type { JobSessions } from "../shared/job-sessions.ts";
import type { HostClient } from "./host-client.ts";
import { isJobTool } from "./worker-agent.ts";

type Guard = Pick<Hooks, "tool.definition" | "tool.execute.before" | "shell.env" | "command.execute.before">;

/**
 * Wall 3: whatever became visible to a job's model by mistake is stopped before it runs on the host, and so are the
 * shell endpoint, which asks no permission, and commands, whose templates take in files and output of the host.
 */
export function createHostGuard(client: Pick<HostClient, "mcp">, jobSessions: JobSessions): Guard {
  const rivals = createShadowedTools(client);
  return {
    "tool.definition": async ({ toolID }, { description }) => rivals.learn(toolID, description),
    "tool.execute.before": async ({ tool, sessionID }) => {
      if (!(await jobSessions.jobOf(sessionID))) return;
      if (!isJobTool(tool)) {
        throw new Error(
          `"${tool}" would run on the user's machine; a job has only its sandbox: use the sandbox_* tools.`,
        );
      }
      const rival = await rivals.of(tool);
      if (rival) {
        throw new Error(`${tool} may be taken by ${rival}, and would run on the user's machine; jobs cannot use it.`);
      }
    },
    "shell.env": async ({ sessionID }) => {
      if (sessionID && (await jobSessions.jobOf(sessionID))) {
        throw new Error(
          "This session belongs to a job, whose commands run in its sandbox only, never on this machine.",
        );
      }
    },
    "command.execute.before": async ({ sessionID }) => {
      if (await jobSessions.jobOf(sessionID)) {
        throw new Error(
          "This session belongs to a job, and commands read from this machine; send it a message instead.",
        );
      }
    },
  };
}

/**
 * Others that use the name of a job's tool. Of several tools of one name the host runs the last: a later plugin's
 * before ours, and an MCP server's, which it names `<server>_<tool>`, before any. So a server `sandbox` with a tool
 * `exec` would get the calls of every job.
 * @source OpenCode 1.18.33, verified
 */
function createShadowedTools(client: Pick<HostClient, "mcp">) {
  const descriptions = new Map<string, string>();
  const doubled = new Set<string>();
  return {
    /** Before every request to a model the host defines all tools but those of MCP servers, doubles too. */
    learn(tool: string, description: string): void {
      if (!isJobTool(tool)) return;
      if ((descriptions.get(tool) ?? description) !== description) doubled.add(tool);
      descriptions.set(tool, description);
    },
    /** Who may stand where the tool is expected, or null. */
    async of(tool: string): Promise<string | null> {
      if (doubled.has(tool)) return "another plugin or a tool of the project";
      const [server, rest] = tool.split("_", 2);
      if (server === undefined || rest === undefined) return null;
      const { data } = await client.mcp.status().catch(() => ({ data: undefined }));
      if (!data) return "an MCP server (OpenCode did not say which there are)";
      const status = data[server]?.status;
      return status === undefined || status === "disabled" ? null : `the MCP server "${server}"`;
    },
  };
}
