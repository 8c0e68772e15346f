import type { Options } from "../../config/schema.ts";
import type { GivenFiles, Job, JobOrigin } from "../../core/job.ts";
import type { JobTask } from "../../core/job-task.ts";
import type { NewJob } from "../../core/new-job.ts";
import type { Catalog } from "../../core/ports.ts";
import { incompleteSnapshotNote } from "../../core/source-notes.ts";
import { DEFAULT_AGENT, decideTask, type TaskRequest } from "../../core/task.ts";
import { imageSourceNote, permissionNotes, unseenImagesNote } from "../../prompt/start-notes.ts";
import { oneLine } from "../../shared/plain-text.ts";
import type { SessionProjects } from "../project/session-projects.ts";
import type { Snapshots } from "../sandbox/snapshots.ts";
import type { SessionOpener } from "../session/session-jobs.ts";
import type { PoolStore } from "../store/pool-store.ts";
import { type RecordJobsDeps, recordJobs } from "./record-jobs.ts";

export interface StartJobsDeps extends SessionOpener, RecordJobsDeps {
  readonly options: Pick<Options, "maxTasksPerCall" | "environments" | "gpuLimits">;
  readonly projects: Pick<SessionProjects, "join">;
  readonly snapshots: Pick<Snapshots, "find" | "lostLabel" | "newestOf">;
  readonly pool: Pick<PoolStore, "knowsSnapshot" | "sandboxOf">;
}

/** A task with fields of a wrong type: what could be read of it, and what is wrong. */
export interface UnreadableTask {
  readonly description: string;
  readonly problem: string;
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
}

/**
 * Records one job per task, in order, in one transaction, and queues those that can start. Waits only for the store.
 * A task that cannot start becomes a failed job.
 */
export async function startJobs(
  deps: StartJobsDeps,
  requests: readonly StartRequest[],
  context: StartContext,
): Promise<Job[]> {
  const { origin, catalog, orchestratorModel, orchestratorVariant, forbidden } = context;
  const { notes: givenNotes, ...given } = context.given;
  const sessionJobs = (await deps.sessionJobs(context.orchestrator)).whole;
  const { orchestrator } = sessionJobs;
  deps.projects.join(orchestrator); // snapshots of the project's other sessions can be named
  const { maxTasksPerCall, environments, gpuLimits } = deps.options;
  const taskContext = {
    catalog,
    environments,
    gpuLimits,
    provider: deps.providerName,
    ownerOf,
    isSnapshot: (imageID: string) => deps.pool.knowsSnapshot(imageID),
    findJob: (id: string) => sessionJobs.get(id) ?? null,
    newestOf: (job: Job) => deps.snapshots.newestOf(job),
    findSnapshot: (name: string) => deps.snapshots.find(orchestrator, name),
    lostLabel: (name: string) => deps.snapshots.lostLabel(orchestrator, name),
    orchestratorModel,
    orchestratorVariant,
    forbidden,
  };
  return recordJobs(deps, sessionJobs, requests.map(toJob));

  function toJob(request: StartRequest, index: number): NewJob {
    const { task, failure, parent } = decide(request, index);
    if (failure) return { task, failure, origin };
    return { task, failure, origin, parent, given: seenBy(task), notes: notesOn(task) };
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
    const { agent, model, forbidden, rules, snapshotID } = task;
    const unenforced = catalog.agents.find(({ name }) => name === agent)?.unenforced ?? [];
    const ofImage = task.source?.kind === "image" ? [imageSourceNote(task.source.id)] : [];
    const leftOut = snapshotID === null ? [] : (deps.snapshots.find(orchestrator, snapshotID)?.leftOut ?? []);
    const unseen = given.imagesFrom !== seenBy(task).imagesFrom ? [unseenImagesNote(model ?? "")] : [];
    return [
      ...permissionNotes(forbidden, unenforced, rules),
      ...leftOut.map(incompleteSnapshotNote),
      ...ofImage,
      ...givenNotes,
      ...unseen,
    ];
  }

  function decide(request: StartRequest, index: number): Decided {
    if ("problem" in request) return refused(request.description, request.problem);
    if (index >= maxTasksPerCall) {
      const problem = `one call starts at most ${maxTasksPerCall} tasks and this is number ${index + 1}; start it with another call.`;
      return refused(request.description, problem);
    }
    const decision = decideTask(request, taskContext);
    return decision.kind === "accepted"
      ? { task: decision.task, failure: null, parent: decision.parent }
      : refused(request.description, decision.failure.message);
  }
}

type Decided = Required<Pick<NewJob, "task" | "failure" | "parent">>;

/** A refused task as recorded. Its prompt is not kept: it may be of any size, and never runs. */
function refused(description: string, message: string): Decided {
  return {
    parent: null,
    task: {
      description: oneLine(description, 80),
      prompt: "",
      agent: DEFAULT_AGENT,
      model: null,
      variant: null,
      environment: "default",
      gpu: null,
      snapshotID: null,
      skills: [],
      forbidden: [],
      rules: [],
      timeoutMinutes: null,
      maxUsd: null,
      run: null,
    },
    failure: { code: "invalid_task", message, retryable: false },
  };
}
