import type { Params } from "../core/run-task.ts";
import type { JobView } from "../views/job-view.ts";
import type { Recipe, Report, ReportBoard } from "./report.ts";

/**
 * The report without prompts, commands, outputs, results, words of jobs, names of branches and paths: what was tried and
 * measured stays. A description that repeats the task's own words, or holds a path, is left out too.
 */
export function redact(report: Report): Report {
  const recipes = new Map(report.recipes.map((recipe) => [recipe.job, recipe]));
  const describe = (job: string, description: string) => redactDescription(description, recipes.get(job));
  return {
    ...report,
    redacted: true,
    jobs: report.jobs.map((job) => redactJob(job, describe(job.id, job.description))),
    leaderboards: report.leaderboards.map((board) => redactBoard(board, describe)),
    recipes: report.recipes.map((recipe) => ({
      ...recipe,
      description: describe(recipe.job, recipe.description),
      prompt: null,
      command: null,
      params: redactParams(recipe.params),
      metricTexts: {},
      files: [],
      image: recipe.image !== null && /^[/~.]/.test(recipe.image) ? LEFT_OUT : recipe.image,
      branch: null,
    })),
    snapshots: report.snapshots.map(({ label, ...snapshot }) => ({
      ...snapshot,
      ...(label !== undefined && { label: withoutPaths(label) }),
    })),
    problems: report.problems.map(withoutPaths),
  };
}

/** What is passed on of a job as it is. A list of what stays, so that a field which is added is left out until somebody decides. */
const KEPT = [
  ...(["id", "kind", "state", "queuePosition", "agent", "model", "variant", "environment", "provider", "gpu"] as const),
  ...([
    "devices",
    "gpuUse",
    "commandGpus",
    "gpuOfCommand",
    "sessionID",
    "sandboxID",
    "sandbox",
    "metrics",
    "parent",
    "startedBy",
    "attempts",
    "stopped",
  ] as const),
  ...([
    "turns",
    "tokens",
    "usd",
    "createdAt",
    "startedAt",
    "endedAt",
    "elapsedSeconds",
    "snapshot",
    "exitCode",
  ] as const),
];

function redactJob(job: JobView, description: string): JobView {
  const { error, params, update } = job;
  const kept = Object.fromEntries(KEPT.flatMap((field) => (field in job ? [[field, job[field]]] : [])));
  return {
    ...(kept as unknown as Pick<JobView, (typeof KEPT)[number]>),
    description,
    ...(params && { params: redactParams(params) }),
    ...(update && { update: { at: update.at, conflicts: [] } }),
    ...(error && { error: { ...error, message: LEFT_OUT } }),
    notes: job.notes.map(() => LEFT_OUT),
  };
}

const redactBoard = (board: ReportBoard, describe: (job: string, description: string) => string): ReportBoard => ({
  ...board,
  control: board.control && { ...board.control, description: describe(board.control.job, board.control.description) },
  entries: board.entries.map(({ params, ...entry }) => ({
    ...entry,
    description: describe(entry.job, entry.description),
    label: describe(entry.job, entry.label),
    ...(params && { params: redactParams(params) }),
  })),
});

export const LEFT_OUT = "left out";

const redactParams = (params: Params): Params =>
  Object.fromEntries(
    Object.entries(params).map(([name, value]) => [name, typeof value === "string" ? withoutPaths(value) : value]),
  );

function redactDescription(description: string, recipe: Recipe | undefined): string {
  const words = (text: string) => text.replace(/\s+/g, " ").trim().toLowerCase();
  const own = words(description).replace(/…$/, "");
  const repeats = [recipe?.prompt, recipe?.command].some((text) => text && own.length > 3 && words(text).includes(own));
  return repeats ? LEFT_OUT : withoutPaths(description);
}

/** Paths are known by a separator: absolute, below a home or a drive, or with two parts and more. */
export const withoutPaths = (text: string): string => text.replace(PATH, "[path]");

const PATH =
  /(?:file:\/\/|[A-Za-z]:[\\/]|~[\w.-]*\/|\.{1,2}\/|\\\\|\/)[^\s"'`,;)\]}]+|[\w.@-]+(?:\/[\w.@-]+)+\/?|[\w.-]+(?:\\[\w.-]+)+/g;
