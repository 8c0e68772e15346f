import { z } from "zod";
import { type Benchmark, benchmarkSchema } from "../config/benchmark.ts";
import { isNoGpu } from "../core/task.ts";
import { benchmarkOf, scoreJobs } from "../jobs/actions/score-jobs.ts";
import { renderCounts } from "../prompt/job-list.ts";
import { renderOverview } from "../prompt/job-overview.ts";
import { toMarkdown } from "../prompt/quoted-text.ts";
import { EXPERIMENTS_SCORE } from "../prompt/tool-descriptions.ts";
import type { Clock } from "../shared/clock.ts";
import { PluginError } from "../shared/error-code.ts";
import { defineTool, describeIssues, type ToolDeps } from "./define-tool.ts";
import { showBoard, viewJobs } from "./job-views.ts";
import { requirePermission, showWhileAsking } from "./permission.ts";
import type { ToolCall } from "./tool.ts";

const text = () => z.string().optional();
const globs = () => z.array(z.string()).optional();

/** As a model is told to write one. The options' schema checks it, and says what is wrong with which part. */
const given = z.strictObject({
  command: text().describe('Shell command that measures and prints "METRIC name=value" once; SEED is the repeat.'),
  metric: text().describe("Name of the metric that ranks."),
  direction: z.enum(["min", "max"]).optional().describe("Which values are better."),
  metrics: z
    .record(z.string(), z.string())
    .optional()
    .describe("By metric, the text its number follows in the output."),
  protect: globs().describe("Files that measure and their data: there the project's own count."),
  artifacts: globs().describe("Files of the job measured besides its changes, ignored ones too."),
  setting: text().describe('"clean" (default), a fresh sandbox, or "snapshot".'),
  environment: text(),
  gpu: text(),
  timeout_minutes: z.number().optional(),
  repeats: z.number().optional(),
});

const LIMIT = 40_000;

export const experimentsScoreTool = (deps: ToolDeps) =>
  defineTool({
    name: "experiments_score",
    description: EXPERIMENTS_SCORE,
    args: {
      jobs: z.array(z.string()).min(1, "name at least one job").describe("Ids of jobs that have ended."),
      benchmark: z
        .union([given, z.string()])
        .optional()
        .describe("Name of a configured benchmark, or one as an object; default the only one configured."),
      repeats: z.number().optional().describe("How often each is measured, SEED=1 to n; default the benchmark's."),
    },
    parse: z.strictObject({
      jobs: z.array(z.string()).min(1, "name at least one job"),
      benchmark: z.union([z.string(), z.looseObject({})], { error: "a benchmark's name, or an object" }).optional(),
      repeats: z.number().optional(),
    }),
    asks: ({ jobs }) => jobs,
    async run({ jobs: ids, benchmark: asked, repeats }, call) {
      const runtime = await deps.runtime();
      const benchmark = asked === undefined || typeof asked === "string" ? asked : toBenchmark(asked);
      const { environment, gpu } = benchmarkOf(runtime.options, benchmark).benchmark;
      const known = (await runtime.sessionJobs(call.sessionID)).whole;
      const gpuOf = (id: string) => {
        const own = runtime.options.environments[environment ?? known.get(id)?.task.environment ?? "default"];
        const one = gpu ?? own?.gpu ?? null;
        return one === null || isNoGpu(one) ? null : one;
      };
      await askToMeasure(
        runtime.clock,
        call,
        ids.map((id) => ({ id, description: known.get(id)?.task.description ?? "", gpu: gpuOf(id) })),
      );
      deps.onJobsStarting();
      const runs = await scoreJobs(
        runtime,
        { jobs: ids, benchmark, repeats },
        {
          orchestrator: call.sessionID,
          origin: { sessionID: call.sessionID, messageID: call.messageID, callID: call.callID },
          forbidden: await call.forbiddenToJobs(),
        },
      );
      const views = viewJobs(runtime, runs);
      const started = views.filter(({ state }) => state !== "failed").length;
      return {
        title: `${started} ${started === 1 ? "measurement" : "measurements"} started`,
        output: [
          `${renderCounts(views)}:`,
          ...renderOverview(views, LIMIT),
          ...(started > 0
            ? [
                "They are runs: wait for them with agents_wait, whose answer also names what of a job's changes did not count. The mean becomes a metric of the job.",
              ]
            : []),
        ].join("\n"),
        view: () => showBoard(runtime, runs, null, "started").text,
        metadata: { jobs: views, session: call.sessionID },
      };
    },
  });

interface Wanted {
  readonly id: string;
  readonly description: string;
  readonly gpu: string | null;
}

/** As for a start: what is wanted is in the conversation while a question is open, since the host's question does not say it. */
async function askToMeasure(clock: Clock, call: ToolCall, wanted: readonly Wanted[]): Promise<void> {
  const gpus = wanted.flatMap(({ gpu }) => (gpu === null ? [] : [gpu]));
  const title = `Wants to measure ${wanted.length} ${wanted.length === 1 ? "job" : "jobs"}`;
  const lines = wanted.slice(0, SHOWN).map(({ id, description, gpu }) => {
    const name = toMarkdown(description === "" ? id : description, 80);
    return `- **${name}**${gpu === null ? "" : ` on GPU ${toMarkdown(gpu)}`}`;
  });
  if (wanted.length > SHOWN) lines.push(`- and ${wanted.length - SHOWN} more`);
  await showWhileAsking(
    clock,
    call,
    { title, text: [`${title}:`, "", ...lines].join("\n"), metadata: {} },
    async () => {
      await requirePermission(call, "agents_start", ["run"]);
      if (gpus.length > 0) await requirePermission(call, "gpu", gpus, { tasks: wanted.length });
    },
  );
}

const SHOWN = 15;

/** @throws PluginError `invalid_task` */
function toBenchmark(value: object): Benchmark {
  const parsed = benchmarkSchema.safeParse(value, { reportInput: true });
  if (parsed.success) return parsed.data;
  const problem = describeIssues(parsed.error, Object.keys(given.shape));
  throw new PluginError("invalid_task", `Nothing is measured: the benchmark is not valid: ${problem}`, {
    retryable: false,
  });
}
