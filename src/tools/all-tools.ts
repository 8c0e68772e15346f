import { agentsCancelTool } from "./agents-cancel.ts";
import { agentsCollectTool } from "./agents-collect.ts";
import { agentsMessageTool } from "./agents-message.ts";
import { agentsStartTool } from "./agents-start.ts";
import { agentsStatusTool } from "./agents-status.ts";
import { agentsWaitTool } from "./agents-wait.ts";
import { inCallOrder } from "./call-order.ts";
import type { ToolDeps } from "./define-tool.ts";
import { experimentsListTool } from "./experiments-list.ts";
import { experimentsScoreTool } from "./experiments-score.ts";
import { jobReportTool } from "./job-report.ts";
import { sandboxEditTool } from "./sandbox-edit.ts";
import { sandboxExecTool } from "./sandbox-exec.ts";
import { sandboxProcessTool } from "./sandbox-process.ts";
import { sandboxReadTool } from "./sandbox-read.ts";
import { sandboxSnapshotTool } from "./sandbox-snapshot.ts";
import { sandboxWriteTool } from "./sandbox-write.ts";
import { tellingNews } from "./telling-news.ts";
import { tellingRepeats } from "./telling-repeats.ts";
import type { Tool } from "./tool.ts";

export const createTools = (deps: ToolDeps): readonly Tool[] =>
  inCallOrder(
    [
      agentsStartTool,
      agentsStatusTool,
      agentsWaitTool,
      agentsMessageTool,
      agentsCancelTool,
      agentsCollectTool,
      experimentsListTool,
      experimentsScoreTool,
      sandboxSnapshotTool,
      sandboxExecTool,
      sandboxProcessTool,
      sandboxReadTool,
      sandboxWriteTool,
      sandboxEditTool,
      jobReportTool,
    ].map((create) => tellingRepeats(deps, tellingNews(deps, create(deps)))),
  );
