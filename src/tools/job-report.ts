import { z } from "zod";
import { defineTool, type ToolHost } from "./define-tool.ts";
import { JOB_REPORT } from "./descriptions.ts";
import { findSeat } from "./worker-seat.ts";

export const jobReportTool = (host: ToolHost) =>
  defineTool({
    name: "job_report",
    description: JOB_REPORT,
    args: {
      status: z.string().trim().max(300).optional().describe("What you do now, in a few words."),
      metrics: z
        .record(z.string().min(1).max(64), z.number())
        .optional()
        .describe('Numbers by name, e.g. { "val_bpb": 2.31 }; the newest of a name is shown.'),
      step: z.number().optional().describe("Step, epoch or iteration the metrics belong to."),
    },
    async run({ status, metrics, step }, { sessionID }) {
      const { lab, book, jobID } = await findSeat(host, sessionID, "job_report");
      const now = lab.clock.now();
      const at = new Date(now).toISOString();
      const values = Object.entries(metrics ?? {}).map(([name, value]) => [
        name,
        { value, ...(step !== undefined && { step }), at },
      ]);
      book.update(jobID, (job) => ({
        ...job,
        status: status ?? job.status,
        metrics: { ...job.metrics, ...Object.fromEntries(values) },
      }));
      book.record(jobID, now, "report", { status, metrics, step });
      return { title: status ?? "metrics", output: "Reported.", metadata: { status, metrics, step } };
    },
  });
