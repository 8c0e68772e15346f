import { z } from "zod";
import { labelProblem } from "../core/snapshot-label.ts";
import { snapshotJob } from "../jobs/actions/snapshot-job.ts";
import { toFact } from "../prompt/quoted-text.ts";
import { SANDBOX_SNAPSHOT } from "../prompt/tool-descriptions.ts";
import { PluginError } from "../shared/error-code.ts";
import { toSnapshotView } from "../views/job-view.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { forbiddenTool } from "./find-worker.ts";
import { pathArgument } from "./path-argument.ts";
import { requirePermission } from "./permission.ts";
import { untilSandbox } from "./until-sandbox.ts";

export const sandboxSnapshotTool = (deps: ToolDeps) =>
  defineTool({
    name: "sandbox_snapshot",
    description: SANDBOX_SNAPSHOT,
    args: {
      job: z.string().optional().describe("Job id; inside a job, its own if left out."),
      label: z
        .string()
        .superRefine((label, context) => {
          const message = labelProblem(label);
          if (message !== null) context.addIssue({ code: "custom", message });
        })
        .optional()
        .describe("A name to start tasks from. It belongs to the job: used again, it names the newer snapshot."),
      path: pathArgument().optional().describe("Only this directory; the whole file system when left out."),
    },
    async run({ job, label, path }, call) {
      const { sessionID } = call;
      const runtime = await deps.runtime();
      const worker = runtime.worker(sessionID);
      const own = worker?.sessionJobs.get(worker.jobID);
      const jobID = job ?? worker?.jobID;
      if (own?.task.forbidden.includes("sandbox_snapshot")) throw forbiddenTool("sandbox_snapshot");
      const refuse = (message: string) => new PluginError("not_found", message, { retryable: false });
      if (jobID === undefined) throw refuse("Name the job whose files are to be frozen.");
      if (worker && jobID !== worker.jobID) throw refuse(`A job can freeze only itself, not ${jobID}.`);
      if (own) await untilSandbox(runtime, own, call);
      if (!worker) await requirePermission(call, "sandbox_snapshot", [jobID]); // nobody answers in a job
      const orchestrator = worker?.sessionJobs.orchestrator ?? sessionID;
      const request = { job: jobID, label: label ?? null, path: path ?? null };
      const { snapshot: taken, labelOwner } = await snapshotJob(runtime, orchestrator, request);
      const snapshot = toSnapshotView(taken);
      const named = snapshot.label ? ` "${snapshot.label}"` : "";
      const refused =
        labelOwner === null
          ? ""
          : `, without the label "${label}": that is ${labelOwner}'s, which gave it first and keeps it. To name this snapshot, take it again with another label`;
      return {
        title: `${snapshot.id}${named}`,
        output: [
          `Snapshot ${snapshot.id}${named} of ${snapshot.job} is taken${refused}. New tasks start from it with from: "${snapshot.label ?? snapshot.id}".`,
          ...taken.leftOut.map((note) => toFact(note, 2_000)),
        ].join("\n"),
        metadata: { ...snapshot },
      };
    },
  });
