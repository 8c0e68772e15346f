import type { Hooks } from "@opencode-ai/plugin";
import { COMMAND_REFUSAL, refuseHostTool, refuseShadowedTool, SHELL_REFUSAL } from "../../prompt/job-refusals.ts";
import type { JobSessions } from "../shared/job-sessions.ts";
import type { ShadowedTools } from "./shadowed-tools.ts";
import { isJobTool } from "./worker-agent.ts";

type Guard = Pick<Hooks, "tool.definition" | "tool.execute.before" | "shell.env" | "command.execute.before">;

/**
 * Third layer of isolation: stops a tool that a job's model should not have seen before it runs on the user's machine.
 * Also stops the shell endpoint, which asks for no permission, and commands, whose templates read files and command
 * output of the machine.
 */
export function createHostGuard(shadowed: ShadowedTools, jobSessions: Pick<JobSessions, "jobOf">): Guard {
  return {
    "tool.definition": async ({ toolID }, { description }) => shadowed.learn(toolID, description),
    "tool.execute.before": async ({ tool, sessionID }) => {
      if (!(await jobSessions.jobOf(sessionID))) return;
      if (!isJobTool(tool)) throw new Error(refuseHostTool(tool));
      const owner = await shadowed.ownerOf(tool, sessionID);
      if (owner) throw new Error(refuseShadowedTool(tool, owner));
    },
    "shell.env": async ({ sessionID }) => {
      if (sessionID && (await jobSessions.jobOf(sessionID))) throw new Error(SHELL_REFUSAL);
    },
    "command.execute.before": async ({ sessionID }) => {
      if (await jobSessions.jobOf(sessionID)) throw new Error(COMMAND_REFUSAL);
    },
  };
}
