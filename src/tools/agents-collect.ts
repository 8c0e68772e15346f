import { z } from "zod";
import { type Collected, collectJob } from "../jobs/collect-job.ts";
import { LabError } from "../shared/error-code.ts";
import { COLLECTED, decideTarget, refuseLinks } from "../workspace/target.ts";
import { defineTool, type ToolHost } from "./define-tool.ts";
import { AGENTS_COLLECT } from "./descriptions.ts";

export const agentsCollectTool = (host: ToolHost) =>
  defineTool({
    name: "agents_collect",
    description: AGENTS_COLLECT,
    args: {
      job: z.string().describe("Job id."),
      mode: z.enum(["branch", "patch"]).optional().describe('"branch" (default) or "patch".'),
      paths: z.array(z.string().min(1)).optional().describe("patch: only these files and folders."),
      into: z.string().min(1).optional().describe("patch: the file to write, in the project."),
    },
    async run({ job, mode = "branch", paths = [], into }, context) {
      const lab = await host.lab();
      if (mode === "branch") {
        if (into !== undefined || paths.length > 0)
          throw new LabError("invalid_task", 'paths and into go with mode "patch".', { retryable: false });
        return toAnswer(await collectJob(lab, context.sessionID, job, { mode }), null);
      }
      const store = await lab.trees.store();
      if (!store)
        throw new LabError("collect_failed", "There is no project to write a patch to.", { retryable: false });
      const target = decideTarget(store.root, into ?? `${COLLECTED}/${job.replace(/\W/g, "_")}.patch`);
      await refuseLinks(store.root, target);
      await context.ask({ permission: "edit", patterns: [target], always: ["*"], metadata: { job } });
      return toAnswer(await collectJob(lab, context.sessionID, job, { mode, target, paths }), target);
    },
  });

function toAnswer({ job, built, branch, stat, preview, overlaps }: Collected, patch: string | null) {
  const size = `${stat.files} file${stat.files === 1 ? "" : "s"}, +${stat.insertions} -${stat.deletions}`;
  const { base, commits } = built;
  const lines = [
    branch === null
      ? `Patch ${patch} of ${job.id}: ${size}. Apply it with git apply.`
      : `Branch ${branch} of ${job.id}: ${commits.length} commits, ${size}. Look at it with git diff ${base?.slice(0, 12)}..${branch}.`,
    ...commits.map(({ id, subject }) => `- ${id.slice(0, 12)} ${subject}`),
    toPreviewLine(preview),
    ...[...overlaps].map(([id, paths]) => `${id} changed the same files: ${paths.slice(0, 20).join(", ")}.`),
    ...built.notes.map((note) => `Not in it: ${note}.`),
  ];
  return {
    title: branch ?? patch ?? job.id,
    output: lines.filter((line) => line !== "").join("\n"),
    metadata: {
      ...(branch === null ? {} : { branch }),
      ...(base === null ? {} : { base }),
      ...(patch === null ? {} : { patch }),
      commits,
      stat,
      preview,
      overlaps: Object.fromEntries(overlaps),
      notes: built.notes,
    },
  };
}

function toPreviewLine(preview: Collected["preview"]): string {
  if (preview.kind === "clean") return "It merges cleanly with the project as it is now.";
  if (preview.kind === "unknown") return "";
  return `It conflicts with the project as it is now in ${preview.paths.join(", ")}.`;
}
