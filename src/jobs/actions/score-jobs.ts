import type { Benchmark } from "../../config/benchmark.ts";
import type { Options } from "../../config/schema.ts";
import { chooseBenchmark, findBenchmarkProblem, findMeasuringProblem } from "../../core/choose-benchmark.ts";
import { mark } from "../../core/experiments/experiment.ts";
import type { Job, JobOrigin } from "../../core/job.ts";
import { BARE_TASK } from "../../core/job-task.ts";
import { writtenMountNotes } from "../../core/measured-mounts.ts";
import { variablesFor } from "../../core/measured-variables.ts";
import type { NewJob } from "../../core/new-job.ts";
import type { Catalog } from "../../core/ports.ts";
import { BARE_RUN, decideRunTask } from "../../core/run-task-request.ts";
import { incompleteSnapshotNote } from "../../core/source-notes.ts";
import { environmentOf } from "../../core/task-source.ts";
import type { MachineGpus } from "../../sandboxes/machine-gpus.ts";
import { PluginError } from "../../shared/error-code.ts";
import { inQuotes, nameList, oneLine } from "../../shared/plain-text.ts";
import { checkArtifacts } from "../../workspace/measure/artifacts.ts";
import { protectedIn } from "../../workspace/measure/protected-in.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import type { Measurements } from "../measure/measurements.ts";
import type { ProjectTrees } from "../project/trees.ts";
import type { Snapshots } from "../sandbox/snapshots.ts";
import { findJobs, UnknownJobs } from "../session/find-jobs.ts";
import type { SessionJobs, SessionOpener } from "../session/session-jobs.ts";
import { type RecordJobsDeps, recordJobs } from "./record-jobs.ts";

export interface ScoreJobsDeps extends SessionOpener, Omit<RecordJobsDeps, "trees"> {
  readonly options: Pick<Options, "benchmarks" | "environments" | "gpuLimits" | "maxRunsPerCall">;
  readonly trees: Pick<ProjectTrees, "capture" | "store">;
  readonly snapshots: Pick<Snapshots, "find" | "lostLabel" | "newestOf">;
  readonly measurements: Pick<Measurements, "take">;
  readonly machineGpus: MachineGpus;
}

export interface ScoreRequest {
  readonly jobs: readonly string[];
  /** A name, or a benchmark; undefined = the only one that is configured. */
  readonly benchmark: string | Benchmark | undefined;
  /** undefined = the benchmark's. */
  readonly repeats: number | undefined;
}

export interface ScoreContext {
  readonly orchestrator: string;
  readonly origin: JobOrigin;
  /** Tools that the user forbids to the agent that starts the runs. */
  readonly forbidden: readonly string[];
}

const MOST_REPEATS = 100;
const NO_CATALOG: Catalog = { agents: [], models: new Map(), skills: [] };
/** Files of the project that are named where a glob matches none. */
const NEAR = 5;

/** The benchmark that a call names. @throws PluginError `invalid_task` */
export function benchmarkOf(
  options: Pick<Options, "benchmarks">,
  given: string | Benchmark | undefined,
): { readonly name: string | null; readonly benchmark: Benchmark } {
  const choice = chooseBenchmark(given, options.benchmarks);
  if (choice.kind === "refused") throw refused(choice.why);
  const problem = findBenchmarkProblem(choice.benchmark);
  if (problem !== null) throw refused(`${choice.name === null ? "The benchmark" : inQuotes(choice.name)}: ${problem}`);
  return choice;
}

/** A measurement is a job beside the one it measures, so another session's winner is measured by way of its files. */
function requireJobs(sessionJobs: SessionJobs, ids: readonly string[]): Job[] {
  try {
    return findJobs(sessionJobs, ids);
  } catch (error) {
    if (!(error instanceof UnknownJobs)) throw error;
    throw new UnknownJobs(`${error.message} ${OF_OTHER_SESSIONS}`, error.missing);
  }
}

const OF_OTHER_SESSIONS =
  'To measure what a job of another session has made, start a run with the command "true" and "from" that job\'s snapshot, whose id experiments_list shows, and measure that run.';

/**
 * Records one run per job and repeat, which measure the jobs with a benchmark, and begins to take their files. A job that
 * cannot be measured becomes one failed run with the reason.
 * @throws PluginError `not_found`, `invalid_task`: nothing is started then
 */
export async function scoreJobs(deps: ScoreJobsDeps, request: ScoreRequest, context: ScoreContext): Promise<Job[]> {
  const sessionJobs = (await deps.sessionJobs(context.orchestrator)).whole;
  const { name, benchmark } = benchmarkOf(deps.options, request.benchmark);
  const jobs = requireJobs(sessionJobs, request.jobs);
  const repeats = request.repeats ?? benchmark.repeats;
  if (!Number.isInteger(repeats) || repeats < 1 || repeats > MOST_REPEATS)
    throw refused(`repeats is ${repeats}; it is a whole number from 1 to ${MOST_REPEATS}.`);
  const { maxRunsPerCall, environments } = deps.options;
  if (jobs.length * repeats > maxRunsPerCall)
    throw refused(
      `${jobs.length} jobs with ${repeats} repeats are ${jobs.length * repeats} runs, and one call starts at most ${maxRunsPerCall} (maxRunsPerCall); split the jobs over several calls.`,
    );
  const evaluations = await requireFiles(jobs);
  const machine = deps.providerName === "local" ? await deps.machineGpus.read() : null;
  const runs = recordJobs(deps, sessionJobs, jobs.flatMap(toRuns));
  deps.measurements.take(sessionJobs, runs);
  return runs;

  function toRuns(job: Job): NewJob[] {
    const { setting, command, metric, direction, metrics, protect, artifacts, gpu, timeout_minutes } = benchmark;
    const evaluation = evaluations.get(job.base?.commit ?? "") ?? null;
    const conditions = { benchmark: name, setting, metric: metric.trim(), direction, protect, evaluation, artifacts };
    const measures = { jobID: job.id, ...conditions, turns: job.turns };
    const environment = benchmark.environment ?? job.task.environment;
    const of = { origin: context.origin, parent: job.id, base: job.base };
    const decision = decideRunTask(
      {
        description: `${name ?? measures.metric} of ${job.task.description}`,
        command,
        metrics,
        environment,
        matrix: { SEED: Array.from({ length: repeats }, (_, n) => n + 1) },
        ...(gpu !== null && { gpu }),
        ...(timeout_minutes !== null && { timeout_minutes }),
        ...(setting === "snapshot" && { from: job.id }),
      },
      {
        catalog: NO_CATALOG,
        environments,
        gpuLimits: deps.options.gpuLimits,
        provider: deps.providerName,
        machine,
        ownerOf: () => null,
        isSnapshot: () => false,
        findJob: (id) => sessionJobs.get(id) ?? null,
        newestOf: (one) => deps.snapshots.newestOf(one),
        findSnapshot: (id) => deps.snapshots.find(sessionJobs.orchestrator, id),
        lostLabel: (label) => deps.snapshots.lostLabel(sessionJobs.orchestrator, label),
        orchestratorModel: null,
        orchestratorVariant: null,
        forbidden: context.forbidden,
        maxRunsPerCall,
        runsBefore: 0,
      },
    );
    const problem =
      findMeasuringProblem(job, setting, protect.length > 0) ??
      findPlaceProblem(job, environment) ??
      (decision.kind === "refused" ? decision.failure.message : null);
    if (problem !== null || decision.kind === "refused") {
      const description = oneLine(`${name ?? measures.metric} of ${job.task.description}`, 80);
      const run = { ...BARE_RUN, command: oneLine(command, 200), measures: { ...measures, seed: 1 } };
      const task = { ...BARE_TASK, description, environment: job.task.environment, run };
      return [{ ...of, task, failure: { code: "invalid_task", message: problem ?? "", retryable: false } }];
    }
    // An image that the task named in place of its environment's holds what the job's programs are.
    const { source } = job.task;
    const image = setting === "clean" && benchmark.environment === null && source?.kind === "image" ? { source } : {};
    const snapshotID = decision.tasks[0]?.snapshotID ?? null;
    const leftOut =
      snapshotID === null ? [] : (deps.snapshots.find(sessionJobs.orchestrator, snapshotID)?.leftOut ?? []);
    const { given, notes } = variablesFor(job);
    const [there, here] = [environments[job.task.environment], environments[environment]];
    const mountNotes = there && here ? writtenMountNotes(job.id, there, here) : [];
    return decision.tasks.map(({ run, ...task }, n) => ({
      ...of,
      task: {
        ...task,
        ...image,
        run: { ...BARE_RUN, ...run, params: { ...given, ...run?.params }, measures: { ...measures, seed: n + 1 } },
      },
      failure: null,
      notes: [
        ...notes,
        ...mountNotes,
        ...leftOut.map(incompleteSnapshotNote),
        ...(protect.length === 0 ? [UNPROTECTED] : []),
      ],
    }));
  }

  /** The files of a snapshot lie where the work directory of its job was. */
  function findPlaceProblem(job: Job, environment: string): string | null {
    if (benchmark.setting === "clean") return null;
    const [there, here] = [environmentOf(environments, job.task)?.workdir, environments[environment]?.workdir];
    return there === undefined || here === undefined || there === here
      ? null
      : `${job.id} worked in ${there}, and the environment "${environment}" of the benchmark works in ${here}: the setting "snapshot" needs the same work directory.`;
  }

  /**
   * A glob that protects nothing is an open door, most likely by a slip of the pen; so is one of files elsewhere.
   * @returns marks of what the protected files hold, by the commit of the project's files
   */
  async function requireFiles(measured: readonly Job[]): Promise<ReadonlyMap<string, string>> {
    for (const { task } of measured) {
      const environment = environmentOf(environments, task);
      if (environment) checkArtifacts(benchmark.artifacts, environment.workdir);
    }
    const store = benchmark.protect.length > 0 ? await deps.trees.store() : null;
    const marks = new Map<string, string>();
    for (const { id, base, task } of measured) {
      const environment = environments[benchmark.environment ?? task.environment];
      if (!store || !base || !environment || base.project !== store.root || marks.has(base.commit)) continue;
      const { entries, protection } = await protectedIn(store, base, benchmark.protect, environment.workdir);
      const [glob] = protection.unmatched;
      if (glob !== undefined) throw refused(describeUnmatched(glob, id, base, [...entries.keys()]));
      marks.set(base.commit, mark([...protection.files].sort().map((path) => [path, entries.get(path)])));
    }
    return marks;
  }
}

function describeUnmatched(glob: string, jobID: string, base: TreeBase, paths: readonly string[]): string {
  const name = glob.split("/").findLast((part) => /[^*?.]/.test(part)) ?? glob;
  const near = paths
    .filter((path) => path.toLowerCase().includes(name.replace(/[*?]/g, "").toLowerCase()))
    .slice(0, NEAR);
  const hint = near.length > 0 ? ` Similar: ${nameList(near)}.` : "";
  const withheld = base.withheld.length > 0 ? "" : " Files that git ignores are not sent to jobs.";
  return `protect has ${inQuotes(glob)}, which matches no file of the project that ${jobID} started from, so it would protect nothing. Globs are relative to the project's root; "**/${name}" looks in every folder.${hint}${withheld}`;
}

const UNPROTECTED =
  "The benchmark protects no files (protect is empty), so the job may have changed everything that measures it.";

const refused = (why: string) => new PluginError("invalid_task", `Nothing is measured: ${why}`, { retryable: false });
