import type { ToolDefinition } from "@opencode-ai/plugin";
import { agentsCancelTool } from "./agents-cancel.ts";
import { agentsCollectTool } from "./agents-collect.ts";
import { agentsMessageTool } from "./agents-message.ts";
import { agentsStartTool } from "./agents-start.ts";
import { agentsStatusTool } from "./agents-status.ts";
import { agentsWaitTool } from "./agents-wait.ts";
import type { ToolHost } from "./define-tool.ts";
import { jobReportTool } from "./job-report.ts";
import { sandboxEditTool } from "./sandbox-edit.ts";
import { sandboxExecTool } from "./sandbox-exec.ts";
import { sandboxProcessTool } from "./sandbox-process.ts";
import { sandboxReadTool } from "./sandbox-read.ts";
import { sandboxSnapshotTool } from "./sandbox-snapshot.ts";
import { sandboxWriteTool } from "./sandbox-write.ts";

/** Every tool by the name models call it. */
export const createTools = (host: ToolHost): Record<string, ToolDefinition> => ({
  agents_start: agentsStartTool(host),
  agents_status: agentsStatusTool(host),
  agents_wait: agentsWaitTool(host),
  agents_message: agentsMessageTool(host),
  agents_cancel: agentsCancelTool(host),
  agents_collect: agentsCollectTool(host),
  sandbox_snapshot: sandboxSnapshotTool(host),
  sandbox_exec: sandboxExecTool(host),
  sandbox_process: sandboxProcessTool(host),
  sandbox_read: sandboxReadTool(host),
  sandbox_write: sandboxWriteTool(host),
  sandbox_edit: sandboxEditTool(host),
  job_report: jobReportTool(host),
});
