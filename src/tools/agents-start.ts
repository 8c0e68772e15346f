import { z } from "zod";
import { named } from "../config/fields.ts";
import { spendIn } from "../core/account.ts";
import { foldRuns } from "../core/run-groups.ts";
import { DEFAULT_AGENT, DESCRIPTION_LIMIT, isNoGpu } from "../core/task.ts";
import { findRepeats } from "../jobs/actions/earlier-runs.ts";
import { type StartRequest, startJobs } from "../jobs/actions/start-jobs.ts";
import type { Runtime } from "../jobs/runtime.ts";
import { renderRepeats } from "../prompt/earlier-runs.ts";
import { renderBuildsFirst } from "../prompt/environments.ts";
import { renderCounts, renderGpus, renderSpend } from "../prompt/job-list.ts";
import { renderOverview } from "../prompt/job-overview.ts";
import { toMarkdown } from "../prompt/quoted-text.ts";
import { renderGroups } from "../prompt/run-groups.ts";
import { instructionsNote } from "../prompt/start-notes.ts";
import { AGENTS_START } from "../prompt/tool-descriptions.ts";
import { oneLine } from "../shared/plain-text.ts";
import { findCaller } from "./caller.ts";
import { defineTool, describeIssues, type ToolDeps } from "./define-tool.ts";
import { findBuildsFirst } from "./environments.ts";
import { showBoard, viewJobs } from "./job-views.ts";
import { requirePermission, showWhileAsking } from "./permission.ts";
import type { ToolCall } from "./tool.ts";

const RUNGS = "expected a list of the steps at which runs are compared, such as [100, 300, 900]";
const NO_METRICS =
  'expected for each metric the text that its number follows in the output, such as {"loss": "val_loss:"}; metrics of METRIC lines need no entry';
const NO_MATRIX =
  'expected a list of values for each name, {"LR": [0.1, 0.01]}: every combination is run; combinations of your choice are a task each';
const variableValues = z.array(
  z.union([z.string(), z.number()], {
    error: "expected a text, a number or a boolean; write null or a list as text",
  }),
  { error: "expected a list of values, such as [0.1, 0.01]" },
);

const taskSchema = z.strictObject({
  description: z
    .string()
    .trim()
    .min(1)
    .max(DESCRIPTION_LIMIT)
    .describe("Short name shown everywhere, at most 80 characters."),
  prompt: z
    .string()
    .optional()
    .describe(
      "For an agent: the whole task. It knows nothing else: give context, the files to make, how to check them, what to report.",
    ),
  command: z
    .string()
    .optional()
    .describe("For a run, in place of prompt: a shell command. Done without a model; its exit code decides."),
  agent: z.string().optional().describe("Configured agent that does the task; default sandbox_worker."),
  model: z.string().optional().describe('"provider/model"; default the agent\'s, else yours.'),
  variant: z.string().optional().describe("Variant of the model, e.g. a degree of reasoning; default yours."),
  environment: z
    .string({ error: 'expected the name of an environment; variables of a run are given in "matrix"' })
    .optional()
    .describe('Named environment of its sandbox; default "default".'),
  gpu: z
    .string()
    .optional()
    .describe(
      'GPUs, e.g. "T4", "H100:8", "H100!" (never an H200 in its place), "any" (of this machine); "none" drops the environment\'s. They are held until the job ends: an agent that trains now and then needs none, as it gives single commands a GPU.',
    ),
  from: z
    .string()
    .optional()
    .describe(
      "What to start from: a snapshot (id or label), a job (its id: its newest files) or a running sandbox (its id, sb-…), whose files are in place; or an image at Modal (im-…) that its sandbox is made from.",
    ),
  skills: z.array(z.string()).optional().describe("Names of the skills whose text and folder the job gets."),
  timeout_minutes: z.number().positive().optional().describe("Hard limit of its running time in minutes."),
  max_usd: z.number().positive().optional().describe("Ceiling of its own spend in USD."),
  matrix: z
    .record(z.string(), variableValues)
    .optional()
    .describe('For runs: {"LR": [0.1, 0.01], "SEED": [1, 2]} starts a run per combination, values as variables.'),
  metrics: z
    .record(z.string(), z.string())
    .optional()
    .describe(
      'For runs: by metric, the text that its number follows in the output, {"loss": "val_loss:"}. Lines "METRIC name=value step=n" always count.',
    ),
  files: z
    .array(z.string())
    .optional()
    .describe('For runs: result files that agents_collect gets, patterns such as "out/**", ignored ones too.'),
  reuse: z
    .boolean()
    .optional()
    .describe(
      "For runs: may take over the sandbox of a sibling that has succeeded, with what that installed and downloaded outside the work directory; its new files there (ignored ones too), its processes and /tmp are cleared first.",
    ),
  stop: z
    .strictObject({
      metric: z.string(),
      direction: z.enum(["min", "max"]),
      rungs: z.array(z.number(), { error: RUNGS }).describe("Steps at which the call's runs are compared."),
      keep: z.number().optional().describe("Share that goes on; default 0.5."),
    })
    .optional()
    .describe("For runs: early stopping (successive halving) among the runs of the call that have the same stop."),
});

/** As tasks are checked: names of variables and metrics may be any. */
const checkedTask = taskSchema.extend({
  matrix: named(variableValues, NO_MATRIX).optional(),
  metrics: named(z.string(), NO_METRICS).optional(),
});

const RANKED = ": without ids it waits for all, and lists the runs with their ids, best first";
/** Runs of a task that have a line each. */
const FEW_STARTED = 4;
/** Bytes of the lines about the jobs of a call. OpenCode cuts an answer above 51,200. */
const STARTED_LIMIT = 40_000;

export const agentsStartTool = (deps: ToolDeps) =>
  defineTool({
    name: "agents_start",
    description: AGENTS_START,
    args: { tasks: z.array(taskSchema).min(1).describe("One job is started per task, all at once.") },
    // Tasks are checked one by one, because a bad one must not stop the others.
    parse: z.strictObject({ tasks: z.array(z.unknown()).min(1, "at least one task is needed") }),
    async run({ tasks }, call) {
      const runtime = await deps.runtime();
      const { sessionJobs, job } = await findCaller(runtime, call, "agents_start");
      const { whole } = sessionJobs;
      if (!job) await askToStart(runtime, tasks, call); // in a job nobody answers
      deps.onJobsStarting();
      const [catalog, runsOn, forbidden, { files, left }, imagesFrom] = await Promise.all([
        deps.catalog(),
        call.model(),
        call.forbiddenToJobs(),
        deps.instructionFiles(),
        call.imagesFrom(),
      ]);
      const started = await startJobs(runtime, tasks.map(toRequest), {
        orchestrator: job?.orchestrator ?? call.sessionID,
        ...(job && { startedBy: job }),
        origin: { sessionID: call.sessionID, messageID: call.messageID, callID: call.callID },
        catalog,
        orchestratorModel: runsOn.model,
        orchestratorVariant: runsOn.variant,
        given: { instructions: files, imagesFrom, notes: left.length === 0 ? [] : [instructionsNote(left)] },
        forbidden: job?.task.forbidden ?? forbidden,
      });
      const repeats = job ? null : await findRepeats(runtime, whole, started); // a job is told of its own runs only
      const current = () => started.map((job) => whole.get(job.id) ?? job);
      const jobs = current();
      const views = viewJobs(runtime, jobs);
      const { own, folded } = foldRuns(jobs, { few: FEW_STARTED, viewer: job?.id ?? null });
      const isOwn = new Set(own.map(({ id }) => id));
      const count = views.filter((job) => job.state !== "failed").length;
      return {
        title: `${count} ${count === 1 ? "job" : "jobs"} started`,
        output: [
          `${renderCounts(views)}:`,
          ...renderGroups(folded, runtime.clock.now()),
          ...renderOverview(
            views.filter(({ id }) => isOwn.has(id)),
            STARTED_LIMIT,
          ),
          ...renderBuildsFirst(await findBuildsFirst(runtime, jobs)),
          ...(repeats ? renderRepeats(repeats) : []),
          job ? "" : await renderPool(runtime, call.sessionID),
          count > 0
            ? `They work in parallel now. Wait for them with agents_wait before you end your turn${folded.length > 0 ? RANKED : ""}.`
            : "",
        ]
          .filter((line) => line !== "")
          .join("\n"),
        view: () => showBoard(runtime, current(), job?.id ?? null, "started").text,
        metadata: { jobs: views, session: call.sessionID },
        started: jobs.map(({ id }) => id),
      };
    },
  });

/** What is free and what was spent: it changes, so the system text does not say it. */
async function renderPool(runtime: Runtime, sessionID: string): Promise<string> {
  const { running, queued, gpus } = runtime.scheduler.counts();
  const { maxRunningJobs, budget } = runtime.options;
  const accounts = (await runtime.sessionJobs(sessionID)).accounts();
  const spend = { ...spendIn(accounts, runtime.clock.now()), budgetUsd: budget.usdPerSession };
  return `Pool: ${running} of ${maxRunningJobs} slots in use, ${queued} queued.${renderGpus(gpus)} ${renderSpend(spend)}`;
}

/**
 * Requires permission for the jobs, and once for all GPUs of the call. The host's question names only the permission, so
 * the tasks are shown in the conversation while it is open.
 */
async function askToStart(runtime: Runtime, tasks: readonly unknown[], call: ToolCall): Promise<void> {
  const wanted = tasks.map((task) => toWanted(task, runtime));
  const gpus = wanted.flatMap(({ gpu }) => (gpu === null ? [] : [gpu]));
  const title = `Wants to start ${tasks.length} ${tasks.length === 1 ? "job" : "jobs"}`;
  const lines = wanted.map(({ description, agent, gpu }) => [`- **${toMarkdown(description, 80)}**`, toMarkdown(agent), ...(gpu === null ? [] : [toMarkdown(`GPU ${gpu}`)])].join(" · ")); // biome-ignore format: one line
  await showWhileAsking(
    runtime.clock,
    call,
    { title, text: [`${title}:`, ...lines].join("\n"), metadata: {} },
    async () => {
      await requirePermission(call, "agents_start", wanted.map(({ agent }) => agent)); // biome-ignore format: one line
      if (gpus.length > 0) await requirePermission(call, "gpu", gpus, { tasks: tasks.length });
    },
  );
}

/** What an unchecked task asks for, as far as it can be read. The user's rules know a run by that word, in place of an agent. */
function toWanted(task: unknown, runtime: Runtime): { description: string; agent: string; gpu: string | null } {
  const { agent, gpu, environment, command } = (task ?? {}) as Record<string, unknown>;
  const isRun = typeof command === "string";
  const wantedGpu = gpu ?? runtime.options.environments[typeof environment === "string" ? environment : "default"]?.gpu;
  return {
    description: describe(task) ?? "",
    agent: isRun ? "run" : typeof agent === "string" ? agent : DEFAULT_AGENT,
    gpu: typeof wantedGpu === "string" && !isNoGpu(wantedGpu) ? wantedGpu : null,
  };
}

function toRequest(raw: unknown, index: number): StartRequest {
  const description = describe(raw) ?? `task ${index + 1}`;
  const parsed = checkedTask.safeParse(raw instanceof Object ? { ...raw, description } : raw, { reportInput: true });
  if (parsed.success && (parsed.data.prompt ?? parsed.data.command) !== undefined) return parsed.data;
  const problem = parsed.success ? NOTHING_TO_DO : describeIssues(parsed.error, Object.keys(taskSchema.shape));
  const { command } = (raw ?? {}) as Record<string, unknown>;
  return { description, problem: `task ${index + 1}: ${problem}`, ...(typeof command === "string" && { command }) };
}

const NOTHING_TO_DO =
  'it has neither "prompt" (what an agent is to do and report) nor "command" (what a run without a model does).';

/** The task's description; where it has none, the beginning of its prompt or command. */
function describe(raw: unknown): string | null {
  const { description, prompt, command } = (raw ?? {}) as Record<string, unknown>;
  for (const text of [description, prompt, command]) {
    const line = typeof text === "string" ? oneLine(text, DESCRIPTION_LIMIT) : "";
    if (line !== "") return line;
  }
  return null;
}
