import type { Hooks } from "@opencode-ai/plugin";
import type { SessionKinds } from "./session-kinds.ts";
import { isJobTool } from "./worker-agent.ts";

/**
 * Wall 3: whatever became visible to a job's model by mistake is stopped before it runs on the host, and so is the
 * shell endpoint, which asks no permission.
 */
export function createHostGuard(kinds: SessionKinds): Pick<Hooks, "tool.execute.before" | "shell.env"> {
  return {
    "tool.execute.before": async ({ tool, sessionID }) => {
      if (isJobTool(tool)) return;
      if (await kinds.jobOf(sessionID)) {
        throw new Error(
          `"${tool}" would run on the user's machine; a job has only its sandbox: use the sandbox_* tools.`,
        );
      }
    },
    "shell.env": async ({ sessionID }) => {
      if (sessionID && (await kinds.jobOf(sessionID))) {
        throw new Error(
          "This session belongs to a job, whose commands run in its sandbox only, never on this machine.",
        );
      }
    },
  };
}
