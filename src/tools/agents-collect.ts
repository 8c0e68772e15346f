import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { collectChanges } from "../jobs/actions/collect-changes.ts";
import { collectFiles } from "../jobs/actions/collect-files.ts";
import { renderCollected, renderFiles } from "../prompt/collected.ts";
import { AGENTS_COLLECT } from "../prompt/tool-descriptions.ts";
import { PluginError } from "../shared/error-code.ts";
import { configuredInstructions } from "../workspace/collect/instruction-patterns.ts";
import { COLLECTED, decideFolder, decideTarget, refuseHooks, refuseLinks } from "../workspace/collect/target.ts";
import { TargetTakenError } from "../workspace/collect/write-files.ts";
import { realPathOrSelf } from "../workspace/project/home-folders.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { pathArgument } from "./path-argument.ts";
import { requirePermission } from "./permission.ts";
import type { ToolCall } from "./tool.ts";

const MAX_ATTEMPTS = 5;

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
          'patch: only these files and folders. files: files, folders and patterns of *, ? and ** such as "runs/**/*.json", relative to the job\'s work directory.',
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
      if (mode === "branch") {
        if (into !== undefined || paths.length > 0)
          throw new PluginError("invalid_task", '"paths" and "into" need mode "patch" or "files".', {
            retryable: false,
          });
        await askToEdit(call, job, null, `.git/refs/heads/agents/${job}`);
        return renderCollected(await collectChanges(runtime, call.sessionID, job, { mode }), null);
      }
      const store = await runtime.trees.store();
      if (store === null)
        throw new PluginError("collect_failed", "There is no project to write to.", { retryable: false });
      const { root } = store;
      const shownRoot = (await isSameFolder(root, call.directory)) ? null : root;
      if (mode === "files") {
        const isConfigured = configuredInstructions(deps.instructions(), root, call.directory, homedir());
        for (let attempt = 1; ; attempt++) {
          const target = await decideFolder(root, job, into ?? null);
          await refuseHooks(store, target);
          await askToEdit(call, job, root, target);
          const request = { root, target, paths, isConfigured, signal: call.abort };
          try {
            return renderFiles(await collectFiles(runtime, call.sessionID, job, request), target, shownRoot);
          } catch (error) {
            // Several calls of one step may all have found the default folder free.
            if (!(error instanceof TargetTakenError) || into !== undefined || attempt === MAX_ATTEMPTS) throw error;
          }
        }
      }
      const target = decideTarget(root, into ?? `${COLLECTED}/${job.replace(/\W/g, "_")}.patch`);
      await refuseLinks(root, target);
      await refuseHooks(store, target);
      await askToEdit(call, job, root, target);
      return renderCollected(
        await collectChanges(runtime, call.sessionID, job, { mode, target, paths }),
        target,
        shownRoot,
      );
    },
  });

const isSameFolder = async (one: string, other: string): Promise<boolean> =>
  (await realPathOrSelf(one)) === (await realPathOrSelf(other));

/**
 * Writing into the user's project or repository counts as an edit under the host's rules, so an agent that may not edit
 * cannot make a branch either. `target` is relative to the project; the host shows `filepath` in its question.
 */
const askToEdit = (call: ToolCall, job: string, root: string | null, target: string): Promise<void> =>
  requirePermission(call, "edit", [target], { job, filepath: root === null ? target : join(root, target), diff: "" });
