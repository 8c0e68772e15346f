import { join } from "node:path";
import { z } from "zod";
import { collect } from "../jobs/actions/collect.ts";
import { renderWork } from "../prompt/collected.ts";
import { AGENTS_COLLECT } from "../prompt/tool-descriptions.ts";
import { COLLECTED } from "../workspace/collect/target.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { pathArgument } from "./path-argument.ts";
import { requirePermission } from "./permission.ts";
import type { ToolCall } from "./tool.ts";

export const agentsCollectTool = (deps: ToolDeps) =>
  defineTool({
    name: "agents_collect",
    description: AGENTS_COLLECT,
    args: {
      job: z.string().describe("Job id."),
      mode: z.enum(["branch", "patch", "files"]).optional().describe('"branch" (default), "patch" or "files".'),
      paths: z
        .array(pathArgument())
        .max(100)
        .optional()
        .describe(
          'Files, folders and patterns of *, ? and ** such as "runs/**/*.json", relative to the job\'s work directory. patch: only what changed there.',
        ),
      into: pathArgument()
        .optional()
        .describe(
          `In the project. patch: the file to write. files: a new or empty folder; default ${COLLECTED}/<job id>.`,
        ),
    },
    asks: ({ job }) => [job],
    async run({ job, mode = "branch", paths = [], into }, call) {
      const runtime = await deps.runtime();
      const work = await collect(runtime, call.sessionID, {
        job,
        mode,
        paths,
        into: into ?? null,
        directory: call.directory,
        instructions: deps.instructions(),
        signal: call.abort,
        confirm: (root, target) => askToEdit(call, job, root, target),
      });
      return renderWork(work);
    },
  });

/**
 * Writing into the user's project or repository counts as an edit under the host's rules, so an agent that may not edit
 * cannot make a branch either. `target` is relative to the project; the host shows `filepath` in its question.
 */
const askToEdit = (call: ToolCall, job: string, root: string | null, target: string): Promise<void> =>
  requirePermission(call, "edit", [target], { job, filepath: root === null ? target : join(root, target), diff: "" });
