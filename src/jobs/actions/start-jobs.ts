import type { Options } from "../../config/schema.ts";
import { findLoneRules } from "../../core/early-stopping.ts";
import { type GivenFiles, isHeld, type Job, type JobOrigin } from "../../core/job.ts";
import { BARE_TASK, type JobTask } from "../../core/job-task.ts";
import { GPU_OF_RUNS, NESTED_TOOLS, runsOf } from "../../core/nested-runs.ts";
import { COMMANDS_ONLY, createNestedStart, type NestedStart } from "../../core/nested-start.ts";
import type { NewJob } from "../../core/new-job.ts";
import type { Catalog } from "../../core/ports.ts";
import { runsOfCall } from "../../core/run-descriptions.ts";
import { BARE_RUN, decideRunTask, runWishesOfAgent } from "../../core/run-task-request.ts";
import { incompleteSnapshotNote } from "../../core/source-notes.ts";
import { DEFAULT_AGENT, decideTask, isNoGpu, type TaskRequest } from "../../core/task.ts";
import { imageSourceNote, LONE_STOP_NOTE, permissionNotes, unseenImagesNote } from "../../prompt/start-notes.ts";
import type { MachineGpus, MachineReading } from "../../sandboxes/machine-gpus.ts";
import { PluginError } from "../../shared/error-code.ts";
import { oneLine } from "../../shared/plain-text.ts";
import type { SessionProjects } from "../project/session-projects.ts";
import type { Snapshots } from "../sandbox/snapshots.ts";
import type { SessionOpener } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { type RecordJobsDeps, recordJobs } from "./record-jobs.ts";

export interface StartJobsDeps extends SessionOpener, RecordJobsDeps {
  readonly options: Pick<Options, "maxTasksPerCall" | "maxRunsPerCall" | "nesting" | "environments" | "gpuLimits">;
  readonly machineGpus: MachineGpus;
  readonly projects: Pick<SessionProjects, "join">;
  readonly snapshots: Pick<Snapshots, "find" | "lostLabel" | "newestOf">;
  readonly pool: Pick<PoolStore, "knowsSnapshot" | "sandboxOf">;
}

/** A task with fields of a wrong type: what could be read of it, and what is wrong. */
export interface UnreadableTask {
  readonly description: string;
  readonly problem: string;
  /** Absent = it is an agent's. */
  readonly command?: string | undefined;
}

export type StartRequest = TaskRequest | UnreadableTask;

export interface StartContext {
  readonly orchestrator: string;
  readonly origin: JobOrigin | null;
  readonly catalog: Catalog;
  readonly orchestratorModel: string | null;
  readonly orchestratorVariant: string | null;
  /** What the host gives its agents here besides their task. */
  readonly given: GivenFiles & { readonly notes: readonly string[] };
  /** Tools that the user forbids to the agent that starts the jobs. */
  readonly forbidden: readonly string[];
  /** The job whose agent starts them; absent = the orchestrator does. */
  readonly startedBy?: Job;
}

/**
 * Records one job per task, or one per combination of a run's matrix, in order, in one transaction, and queues those that can start. Waits only for the store.
 * A task that cannot start becomes a failed job.
 */
export async function startJobs(
  deps: StartJobsDeps,
  requests: readonly StartRequest[],
  context: StartContext,
): Promise<Job[]> {
  const { origin, catalog, orchestratorModel, orchestratorVariant } = context;
  const { notes: givenNotes, ...given } = context.given;
  const sessionJobs = (await deps.sessionJobs(context.orchestrator)).whole;
  const { orchestrator } = sessionJobs;
  deps.projects.join(orchestrator); // snapshots of the project's other sessions can be named
  const { maxTasksPerCall, maxRunsPerCall, environments, gpuLimits } = deps.options;
  const withheld = deps.options.nesting === "none" ? NESTED_TOOLS : [];
  const counts = { agents: 0, runs: 0 };
  const nested = context.startedBy && nestedStart(context.startedBy);
  const wholeContext = {
    catalog,
    environments,
    gpuLimits,
    provider: deps.providerName,
    machine: await readMachine(deps, requests),
    ownerOf,
    isSnapshot: (imageID: string) => deps.pool.knowsSnapshot(imageID),
    findJob: (id: string) => sessionJobs.get(id) ?? null,
    newestOf: (job: Job) => deps.snapshots.newestOf(job),
    findSnapshot: (name: string) => deps.snapshots.find(orchestrator, name),
    lostLabel: (name: string) => deps.snapshots.lostLabel(orchestrator, name),
    orchestratorModel,
    orchestratorVariant,
    forbidden: [...context.forbidden, ...withheld],
  };
  const taskContext = nested?.context(wholeContext) ?? wholeContext;
  const startedBy = context.startedBy?.id ?? null;
  const call = runsOfCall(requests.flatMap((one) => (one.command === undefined || "problem" in one ? [] : [one])));
  if (startedBy !== null) refuseEnded(startedBy);
  return recordJobs(deps, sessionJobs, withStopNotes(requests.flatMap(toJobs)));

  /** Runs end with the job that started them, so one that ended or was stopped while this call waited starts none. @throws PluginError */
  function refuseEnded(jobID: string): void {
    const starter = sessionJobs.get(jobID);
    if (starter && isHeld(starter.state) && starter.stopFailure == null) return;
    const message = `${jobID} does not run any more, so nothing was started.`;
    throw new PluginError("not_found", message, { retryable: false });
  }

  function nestedStart(starter: Job): NestedStart {
    const runs = runsOf(sessionJobs.all(), starter.id);
    return createNestedStart({ starter, runs, environments, maxOpen: maxRunsPerCall });
  }

  function toJobs(request: StartRequest): NewJob[] {
    if (request.command === undefined) counts.agents++;
    if ("problem" in request) return [refused(request, request.problem)];
    if (nested && request.command === undefined) return [refused({ ...request, command: "" }, COMMANDS_ONLY)];
    return request.command === undefined ? [toAgent(request)] : toRuns(request);
  }

  function toAgent(request: TaskRequest): NewJob {
    if (counts.agents > maxTasksPerCall) {
      const problem = `one call starts at most ${maxTasksPerCall} tasks and this is number ${counts.agents}; start it with another call.`;
      return refused(request, problem);
    }
    const wishes = runWishesOfAgent(request);
    if (wishes.problem !== null) return refused(request, wishes.problem);
    const decision = decideTask(request, taskContext);
    if (decision.kind === "refused") return refused(request, decision.failure.message);
    const { task, parent } = decision;
    const unseen = given.imagesFrom !== seenBy(task).imagesFrom ? [unseenImagesNote(task.model ?? "")] : [];
    const notes = [...notesOn(task), ...givenNotes, ...unseen, ...wishes.notes];
    return { task, failure: null, origin, parent, given: seenBy(task), notes };
  }

  function toRuns(request: TaskRequest): NewJob[] {
    const runContext = { ...taskContext, maxRunsPerCall, runsBefore: counts.runs };
    const decision = decideRunTask(nested?.request(request) ?? request, runContext, call);
    if (decision.kind === "refused") return [refused(request, decision.failure.message)];
    const { tasks, parent, notes } = decision;
    const problem = nested?.problem(tasks, counts.runs) ?? null;
    if (problem !== null) return [refused(request, problem)];
    counts.runs += tasks.length;
    return tasks.map(
      (task): NewJob => ({ task, failure: null, origin, parent, startedBy, notes: [...placeNotesOn(task), ...notes] }),
    );
  }

  /** A refused task as recorded. Its prompt is not kept: it may be of any size, and never runs. */
  function refused({ description, command }: UnreadableTask | TaskRequest, message: string): NewJob {
    return {
      origin,
      startedBy,
      task: {
        ...BARE_TASK,
        description: oneLine(description, 80),
        agent: command === undefined ? DEFAULT_AGENT : "",
        environment: "default",
        run: command === undefined ? null : { ...BARE_RUN, command: oneLine(command, KEPT_OF_REFUSED) },
      },
      failure: { code: "invalid_task", message, retryable: false },
    };
  }

  /** The job that has this sandbox, or was parked with its files since. */
  function ownerOf(sandboxID: string): string | null {
    const owner = sessionJobs.all().find(({ provider, sandbox }) => {
      if (provider !== deps.providerName) return false;
      if (sandbox.kind === "parked") return deps.pool.sandboxOf(sandbox.snapshotID) === sandboxID;
      return sandbox.kind === "live" && sandbox.id === sandboxID;
    });
    return owner?.id ?? null;
  }

  /** Without the images for a model that takes none. */
  function seenBy({ model }: JobTask): GivenFiles {
    const isBlind = model !== null && catalog.models.get(model)?.seesImages === false;
    return isBlind ? { ...given, imagesFrom: null } : given;
  }

  function notesOn(task: JobTask): string[] {
    const { agent, forbidden, rules } = task;
    const unenforced = catalog.agents.find(({ name }) => name === agent)?.unenforced ?? [];
    const shown = forbidden.filter((tool) => !withheld.includes(tool) && tool !== GPU_OF_RUNS);
    return [...permissionNotes(shown, unenforced, rules), ...placeNotesOn(task)];
  }

  function placeNotesOn({ source, snapshotID }: JobTask): string[] {
    const ofImage = source?.kind === "image" ? [imageSourceNote(source.id)] : [];
    const leftOut = snapshotID === null ? [] : (deps.snapshots.find(orchestrator, snapshotID)?.leftOut ?? []);
    return [...leftOut.map(incompleteSnapshotNote), ...ofImage];
  }
}

function withStopNotes(jobs: readonly NewJob[]): readonly NewJob[] {
  const lone = findLoneRules(jobs.flatMap(({ task }) => task.run?.stop ?? []));
  return jobs.map((job) =>
    job.task.run?.stop && lone.has(job.task.run.stop) ? { ...job, notes: [...(job.notes ?? []), LONE_STOP_NOTE] } : job,
  );
}

/** This machine is asked for its GPUs when a task first needs one. */
async function readMachine(
  { options, machineGpus, providerName }: StartJobsDeps,
  requests: readonly StartRequest[],
): Promise<MachineReading | null> {
  const wantsGpu = (request: StartRequest) => {
    if ("problem" in request) return false;
    const ofEnvironment = options.environments[request.environment ?? "default"]?.gpu ?? undefined;
    const gpu = request.gpu ?? ofEnvironment;
    return gpu !== undefined && !isNoGpu(gpu);
  };
  return providerName === "local" && requests.some(wantsGpu) ? machineGpus.read() : machineGpus.known();
}

/** Characters. */
const KEPT_OF_REFUSED = 200;
