import { closest } from "../config/spelling.ts";
import type { Failure } from "../shared/error-code.ts";
import { oneLine } from "../shared/plain-text.ts";
import { findGlobProblem } from "./glob-problem.ts";
import type { JobTask } from "./job-task.ts";
import { countCombinations, expandMatrix, findMatrixProblem } from "./matrix.ts";
import { describeRuns, type RunsOfCall, runsOfCall } from "./run-descriptions.ts";
import type { RunTask, StopRule } from "./run-task.ts";
import type { RunWishes, StopWish } from "./run-wishes.ts";
import { LONGEST_NAME } from "./series.ts";
import { decidePlace, type TaskContext, type TaskRequest } from "./task.ts";
import { tellingFirst } from "./told-apart.ts";

export type RunDecision =
  /** One task per combination of its matrix, in order. `notes`: what was ignored or looks wrong, one sentence each. */
  | {
      readonly kind: "accepted";
      readonly tasks: readonly JobTask[];
      readonly parent: string | null;
      readonly notes: readonly string[];
    }
  | { readonly kind: "refused"; readonly failure: Failure };

export interface RunContext extends TaskContext {
  readonly maxRunsPerCall: number;
  /** Runs that the tasks before it in the call have. */
  readonly runsBefore: number;
}

/** Of a command: longer ones do not fit into a program's arguments. */
const COMMAND_BYTES = 100_000;
const MOST_METRICS = 50;
const MOST_GLOBS = 100;
const NAME_LIMIT = 100;
const TEXT_LIMIT = 500;
const KEEP = 0.5;
/** The tool that a run is the like of: where the user forbids it, he forbids runs. */
const COMMAND_TOOL = "sandbox_exec";

/** Of a task, what only agents have, and what only runs have. */
const OF_AGENTS = ["agent", "model", "variant", "skills"] as const;
const OF_RUNS = ["matrix", "stop", "metrics", "files", "reuse"] as const;

/** What an agent's task asks for that only runs have, as a problem or as notes. */
export function runWishesOfAgent(request: TaskRequest): {
  readonly problem: string | null;
  readonly notes: readonly string[];
} {
  const given = OF_RUNS.filter((name) => isGiven(request[name]));
  const decisive = given.filter((name) => name === "matrix" || name === "stop");
  if (decisive.length > 0)
    return {
      problem: `${decisive.join(" and ")} can be given to a run only: a task with "command" in place of "prompt".`,
      notes: [],
    };
  return { problem: null, notes: given.length === 0 ? [] : [ignored(given, "an agent has none of that")] };
}

/**
 * Fills in a run's defaults and resolves its names, for each of its combinations, or refuses the task whole.
 * @param call what its runs are told apart from
 */
export function decideRunTask(
  request: TaskRequest,
  context: RunContext,
  call: RunsOfCall = runsOfCall([request]),
): RunDecision {
  const refuse = (message: string): RunDecision => ({
    kind: "refused",
    failure: { code: "invalid_task", message, retryable: false },
  });
  const problem = findRunProblem(request, context);
  if (problem) return refuse(problem);
  const place = decidePlace(request, context);
  if (place.kind === "refused") return refuse(place.problem);
  const { command = "", matrix = {} } = request;
  const all = expandMatrix(tellingFirst(matrix, call.apart));
  const descriptions = describeRuns(request.description, all, call);
  const tasks = all.map(
    (params, index): JobTask => ({
      ...place.place,
      description: descriptions[index] ?? "run",
      prompt: "",
      agent: "",
      model: null,
      variant: null,
      skills: [],
      forbidden: context.forbidden,
      rules: [],
      run: { ...toRun(request), command, params },
    }),
  );
  const meaningless = OF_AGENTS.filter((name) => isGiven(request[name]));
  const notes = [
    ...(meaningless.length === 0 ? [] : [ignored(meaningless, "a run has no model")]),
    ...misspeltVariables(command, Object.keys(matrix)),
    ...(request.reuse === true && place.place.gpu !== null ? [NO_REUSE_OF_GPUS] : []),
    ...rungsWithoutSteps(request),
  ];
  return { kind: "accepted", tasks, parent: place.parent, notes };
}

const NO_REUSE_OF_GPUS =
  'The task\'s "reuse" has no effect: runs with GPUs do not share sandboxes, as GPUs count until their sandbox has ended. Each has its own.';

const isGiven = (value: unknown): boolean =>
  value !== undefined && value !== false && !(typeof value === "object" && Object.keys(value ?? {}).length === 0);

const ignored = (names: readonly string[], why: string): string =>
  `The task's ${names.map((name) => `"${name}"`).join(", ")} ${names.length === 1 ? "was" : "were"} ignored: ${why}.`;

/** A run of which only its command is known. */
export const BARE_RUN: RunTask = {
  command: "",
  params: {},
  metrics: {},
  files: [],
  reuse: false,
  stop: null,
  measures: null,
};

const toRun = ({ metrics = {}, files = [], reuse = false, stop }: RunWishes): Omit<RunTask, "command" | "params"> => ({
  metrics,
  files,
  reuse,
  stop: stop ? toStopRule(stop) : null,
  measures: null,
});

const toStopRule = ({ metric, direction, rungs, keep = KEEP }: StopWish): StopRule => ({
  metric: metric.trim(),
  direction,
  rungs,
  keep,
});

function findRunProblem(request: TaskRequest, context: RunContext): string | null {
  const { command = "", prompt, matrix = {} } = request;
  if (prompt !== undefined && prompt.trim() !== "")
    return 'a task has either "prompt" (an agent does it) or "command" (it is run without a model), not both; start two tasks, or leave one of them out.';
  if (command.trim() === "") return "command is empty; give the shell command to run.";
  if (command.includes("\0")) return "command has a NUL character, which no command can; printf '\\0' prints one.";
  const bytes = Buffer.byteLength(command);
  if (bytes > COMMAND_BYTES)
    return `command has ${bytes} bytes, and at most ${COMMAND_BYTES} are allowed; write a long script to a file of the project and run that.`;
  if (context.forbidden.includes(COMMAND_TOOL))
    return `the user's permissions forbid commands (${COMMAND_TOOL}) to jobs of the agent that starts this one, and a run is a command.`;
  return (
    findMatrixProblem(matrix) ??
    findCountProblem(countCombinations(matrix), context) ??
    findMetricsProblem(request.metrics ?? {}) ??
    findFilesProblem(request.files ?? []) ??
    (request.stop ? findStopProblem(request.stop) : null)
  );
}

function findCountProblem(count: number, { maxRunsPerCall, runsBefore }: RunContext): string | null {
  if (runsBefore + count <= maxRunsPerCall) return null;
  const runs = count === 1 ? "this task is one more run" : `this task has ${count.toLocaleString("en-US")} runs`;
  const before = runsBefore > 0 ? `, and the tasks before it have ${runsBefore}` : "";
  return `${runs}${before}: one call starts at most ${maxRunsPerCall} runs (maxRunsPerCall), so none of this task is started. Give fewer values, or split them over several calls.`;
}

function findMetricsProblem(metrics: Readonly<Record<string, string>>): string | null {
  const entries = Object.entries(metrics);
  if (entries.length > MOST_METRICS)
    return `metrics has ${entries.length} names, and at most ${MOST_METRICS} are allowed.`;
  for (const [name, text] of entries) {
    if (name.trim() === "" || name.length > LONGEST_NAME)
      return `metrics has a name of ${name.length} characters; a name has 1 to ${LONGEST_NAME}.`;
    if (text.trim() === "" || text.length > TEXT_LIMIT || /[\r\n]/.test(text))
      return `metrics gives "${oneLine(name, NAME_LIMIT)}" no text to look for: write the words that stand before its number in a line of the output, in at most ${TEXT_LIMIT} characters.`;
  }
  return null;
}

function findFilesProblem(files: readonly string[]): string | null {
  if (files.length > MOST_GLOBS) return `files has ${files.length} patterns, and at most ${MOST_GLOBS} are allowed.`;
  for (const glob of files) {
    const shown = JSON.stringify(oneLine(glob, NAME_LIMIT));
    if (glob.startsWith("/") || glob.startsWith("~") || glob.split("/").includes(".."))
      return `files has the pattern ${shown}, which leaves the work directory; give patterns relative to it, such as "out/**/*.json".`;
    const why = findGlobProblem(glob);
    if (why !== null) return `files has the pattern ${shown}: ${why}`;
    if (/(?:^|\/)\.git(?:\/|$)/i.test(glob)) return `files has the pattern ${shown}: a .git is never collected.`;
  }
  return null;
}

function findStopProblem({ metric, rungs, keep = KEEP }: StopWish): string | null {
  if (metric.trim() === "" || metric.trim().length > LONGEST_NAME)
    return `stop.metric is not a metric's name of 1 to ${LONGEST_NAME} characters.`;
  if (rungs.length === 0 || rungs.length > 100)
    return "stop.rungs needs 1 to 100 steps at which runs are compared, such as [100, 300, 900].";
  const isAscending = rungs.every((rung, index) => Number.isFinite(rung) && rung > (rungs[index - 1] ?? 0));
  if (!isAscending)
    return `stop.rungs must be positive numbers, each greater than the one before, not ${oneLine(JSON.stringify(rungs), 200)}.`;
  if (!(keep > 0 && keep < 1))
    return `stop.keep is the share of the runs that goes on at a rung, between 0 and 1, not ${keep}; 0.5 keeps the better half.`;
  return null;
}

/** A first rung from here on is rather a step than a count of reports. */
const LIKELY_STEP = 10;

/** A number behind a text has no step, so rungs that are steps would never be reached. */
function rungsWithoutSteps({ metrics = {}, stop }: RunWishes): string[] {
  const metric = stop?.metric.trim() ?? "";
  const [first = 0] = stop?.rungs ?? [];
  if (!Object.hasOwn(metrics, metric) || first < LIKELY_STEP) return [];
  const name = oneLine(metric, NAME_LIMIT);
  return [
    `A number that is found by its text in "metrics" has no step, so the rungs of "stop" count how often "${name}" was reported: the first comparison comes with report ${first}. If the rungs are steps, print lines "METRIC ${name}=value step=n" instead.`,
  ];
}

/** Variables of the command that look like a misspelt name of the matrix. */
function misspeltVariables(command: string, names: readonly string[]): string[] {
  const used = new Set([...command.matchAll(/\$(?:\{[#!]?)?([A-Za-z_][A-Za-z0-9_]*)/g)].map(([, name = ""]) => name));
  return [...used].flatMap((name) => {
    const isSet = new RegExp(
      `(?:^|[\\s;&|(])(?:${name}=|(?:for|read|export|local|declare)\\s+(?:-\\w+\\s+)*${name}\\b)`,
    ).test(command);
    if (names.includes(name) || isSet) return [];
    const meant = closest(name, names);
    return meant === undefined || used.has(meant)
      ? []
      : [
          `The command uses $${name}, which the matrix does not have: if $${meant} is meant, cancel the runs and start them anew.`,
        ];
  });
}
