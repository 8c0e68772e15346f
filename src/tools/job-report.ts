import { z } from "zod";
import { named } from "../config/fields.ts";
import { LONGEST_NAME, type MetricPoint, MOST_METRICS } from "../core/series.ts";
import { JOB_REPORT } from "../prompt/tool-descriptions.ts";
import { PluginError } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { defineTool, type ToolDeps } from "./define-tool.ts";
import { findOwnJob, findWorker } from "./find-worker.ts";

const STATUS_LIMIT = 300;

const NOTHING_TO_REPORT =
  'there is nothing to report: give "status" (what you are doing now, in a few words) or "metrics" (numbers by name)';

const metricName = z.string().min(1).max(LONGEST_NAME);
const metricValue = z.union([z.number(), z.enum(["NaN", "Infinity", "-Infinity"])], {
  error: 'a number, or "NaN", "Infinity", "-Infinity"',
});

const args = {
  status: z.string().trim().max(STATUS_LIMIT).optional().describe("What you are doing now, in a few words."),
  metrics: z
    .record(metricName, metricValue)
    .optional()
    .describe('Numbers by name, e.g. { "val_bpb": 2.31 }; the newest value of each name is shown.'),
  step: z
    .number({ error: "expected a number, such as 10" })
    .optional()
    .describe("Step, epoch or iteration the metrics belong to."),
};

export const jobReportTool = (deps: ToolDeps) =>
  defineTool({
    name: "job_report",
    description: JOB_REPORT,
    args,
    parse: z
      .strictObject({
        ...args,
        metrics: named(metricValue, 'expected numbers by name, such as {"val_bpb": 2.31}', metricName).optional(),
      })
      .refine(({ status, metrics }) => status !== undefined || metrics !== undefined, NOTHING_TO_REPORT),
    async run({ status: given, metrics: numbers, step }, call) {
      const own = await findOwnJob(deps, call.sessionID, "job_report");
      // It needs no sandbox, so it waits for none that is being made.
      const isStarting = own.job.state.kind === "starting";
      const { runtime, sessionJobs, jobID } = isStarting ? own : await findWorker(deps, call, "job_report");
      const at = runtime.clock.now();
      const status = given === undefined ? undefined : oneLine(given, STATUS_LIMIT);
      const metrics = Object.fromEntries(Object.entries(numbers ?? {}).map(([name, value]) => [toName(name), value]));
      const points = Object.entries(metrics).map(
        ([name, value]): MetricPoint => ({ name, value, ...(step !== undefined && { step }), at, source: "reported" }),
      );
      const left = sessionJobs.addPoints(jobID, points);
      sessionJobs.update(jobID, (job) => (status === undefined ? job : { ...job, status }));
      const refused =
        left.length === 0
          ? ""
          : ` Metrics not kept: ${left.length}, because a job may have at most ${MOST_METRICS} metric names.`;
      return { title: status ?? "metrics", output: `Reported.${refused}`, metadata: { status, metrics, step } };
    },
  });

/** A name is shown inside other lines, so it must be a single line. */
function toName(name: string): string {
  const line = oneLine(name, LONGEST_NAME);
  if (line !== "") return line;
  throw new PluginError("invalid_task", "A metric name needs at least one visible character.", {
    retryable: false,
  });
}
