import type { PrintedMetric } from "../../core/metric-line.ts";
import { MetricLines } from "../../core/metric-lines.ts";
import { MOST_REMEMBERED, metricNotes, undeclaredNote } from "../../core/metric-notes.ts";
import type { Clock } from "../../shared/clock.ts";
import { requireJob } from "../session/session-jobs.ts";
import type { EarlyStopping } from "./early-stopping.ts";
import type { ReadOutput } from "./run-command.ts";

export interface RunMetricsDeps {
  readonly earlyStopping: Pick<EarlyStopping, "judge" | "leave">;
  readonly clock: Pick<Clock, "now">;
}

/** Reads metrics from the output of a run's command, and has the run compared with its siblings as they come. */
export const createRunMetrics =
  ({ earlyStopping, clock }: RunMetricsDeps): ReadOutput =>
  (sessionJobs, jobID) => {
    const { run } = requireJob(sessionJobs, jobID).task;
    if (!run) return null;
    const lines = new MetricLines(run.metrics);
    const refused = new Set<string>();
    const undeclared = new Set<string>();
    const { measures, metrics: texts } = run;
    /** In a measurement, whose output may be the job's, only the numbers that its benchmark declares count. */
    const counts = (name: string) => measures === null || name === measures.metric || Object.hasOwn(texts, name);
    const begunAt = clock.now();
    sessionJobs.restartSeries(jobID);

    function add(metrics: readonly PrintedMetric[]): void {
      const at = clock.now();
      const counting = metrics.filter(({ name }) => counts(name));
      for (const { name } of metrics) if (undeclared.size < MOST_REMEMBERED && !counts(name)) undeclared.add(name);
      const points = counting.map((metric) => ({ ...metric, at, source: "output" as const }));
      for (const name of sessionJobs.addPoints(jobID, points)) if (refused.size < MOST_REMEMBERED) refused.add(name);
    }

    return {
      push(bytes) {
        const metrics = lines.read(bytes);
        if (metrics.length === 0) return;
        add(metrics);
        earlyStopping.judge(sessionJobs, jobID, begunAt);
      },
      flush: () => add(lines.end(false)),
      end(isWhole) {
        earlyStopping.leave(jobID);
        add(lines.end(isWhole));
        const names = [...sessionJobs.series(jobID).keys()];
        const { unreadable, readInPart, misplaced, repeated, numbers, inOtherCase } = lines;
        const stopPoints = run.stop ? sessionJobs.points(jobID, run.stop.metric) : [];
        const seen = {
          names,
          refused: [...refused],
          unreadable,
          readInPart,
          misplaced,
          repeated,
          numbers,
          inOtherCase,
          stopPoints,
        };
        const notes = metricNotes(run, seen, isWhole);
        return undeclared.size > 0 ? [...notes, undeclaredNote([...undeclared])] : notes;
      },
    };
  };
