import { z } from "zod";
import type { Metric } from "../core/job.ts";
import { withMetric } from "../core/metric-source.ts";
import { JOB_REPORT } from "../prompt/tool-descriptions.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { findWorker } from "./find-worker.ts";

const STATUS_LIMIT = 300;
const NAME_LIMIT = 64;
/** Metric names kept per job; people read a dozen. */
const METRICS_LIMIT = 100;

export const jobReportTool = (deps: ToolDeps) =>
  defineTool({
    name: "job_report",
    description: JOB_REPORT,
    args: {
      status: z.string().trim().max(STATUS_LIMIT).optional().describe("What you are doing now, in a few words."),
      metrics: z
        .record(
          z.string().min(1).max(NAME_LIMIT),
          z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])], {
            error: 'a number, or "NaN", "Infinity", "-Infinity"',
          }),
        )
        .optional()
        .describe('Numbers by name, e.g. { "val_bpb": 2.31 }; the newest value of each name is shown.'),
      step: z.number().optional().describe("Step, epoch or iteration the metrics belong to."),
    },
    async run({ status: given, metrics: numbers, step }, { sessionID }) {
      const { runtime, sessionJobs, jobID } = await findWorker(deps, sessionID, "job_report");
      const now = runtime.clock.now();
      const at = new Date(now).toISOString();
      const status = given === undefined ? undefined : oneLine(given, STATUS_LIMIT);
      const metrics = Object.fromEntries(Object.entries(numbers ?? {}).map(([name, value]) => [toName(name), value]));
      let left: readonly string[] = [];
      sessionJobs.update(jobID, (job) => {
        const names = Object.keys(metrics);
        const kept = new Set([...new Set([...Object.keys(job.metrics), ...names])].slice(0, METRICS_LIMIT));
        left = names.filter((name) => !kept.has(name));
        const news = names
          .filter((name) => kept.has(name))
          .map((name): [string, Metric] => [
            name,
            { value: metrics[name] ?? "NaN", ...(step !== undefined && { step }), at, source: "reported" },
          ]);
        const all = news.reduce((known, [name, metric]) => withMetric(known, name, metric), job.metrics);
        return { ...job, status: status ?? job.status, metrics: all };
      });
      const refused =
        left.length === 0
          ? ""
          : ` Metrics not kept: ${left.length}, because a job may have at most ${METRICS_LIMIT} metric names.`;
      return { title: status ?? "metrics", output: `Reported.${refused}`, metadata: { status, metrics, step } };
    },
  });

/** A name is shown inside other lines, so it must be a single line. */
function toName(name: string): string {
  const line = oneLine(name, NAME_LIMIT);
  if (line !== "") return line;
  throw new PluginError("invalid_task", "A metric name needs at least one visible character.", {
    retryable: false,
  });
}
