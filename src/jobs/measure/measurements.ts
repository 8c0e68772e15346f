import { join } from "node:path";
import type { Environment } from "../../config/environment.ts";
import { isEnded, type Job } from "../../core/job.ts";
import { withNotes } from "../../core/job-notes.ts";
import type { RunTask } from "../../core/run-task.ts";
import { environmentOf } from "../../core/task-source.ts";
import { unlessAborted } from "../../core/unless-aborted.ts";
import { measuredNotes } from "../../prompt/measured-notes.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import type { Log } from "../../shared/log.ts";
import { nameList } from "../../shared/plain-text.ts";
import { type Artifacts, fetchArtifacts, NO_ARTIFACTS } from "../../workspace/measure/artifacts.ts";
import { buildMeasured, withObjects } from "../../workspace/measure/build-measured.ts";
import { forgetMeasured, readMeasured } from "../../workspace/measure/measured-files.ts";
import { placeMeasured, restoreProtected } from "../../workspace/measure/place-measured.ts";
import { toText } from "../../workspace/paths.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { fetchChanges, NoGitError } from "../../workspace/sandbox/fetch-changes.ts";
import { baseOf, type ChangesDeps, currentWork, type JobWork, requireBase } from "../sandbox/job-changes.ts";
import { findJob } from "../session/find-jobs.ts";
import { requireJob, type SessionJobs } from "../session/session-jobs.ts";
import type { SessionRegistry } from "../session/session-registry.ts";

/** The files that benchmarks measure: taken when runs are asked for, put in place when they have their sandboxes. */
export interface Measurements {
  /** Begins to take what these new runs measure, once for all repeats of a job. Returns at once. */
  take(sessionJobs: SessionJobs, runs: readonly Job[]): void;
  /**
   * Puts what a run measures into its sandbox; for any other run nothing.
   * @throws PluginError with which the run fails
   */
  place(sessionJobs: SessionJobs, runID: string, sandbox: Sandbox, signal: AbortSignal): Promise<void>;
  /** Waits until nothing is being taken. */
  settled(): Promise<unknown>;
}

export interface MeasurementsDeps extends ChangesDeps {
  readonly environments: Readonly<Record<string, Environment>>;
  readonly registry: Pick<SessionRegistry, "onChange">;
  readonly log: Log;
}

/** A run of a benchmark. */
interface MeasuringRun {
  readonly id: string;
  readonly run: RunTask & { readonly measures: NonNullable<RunTask["measures"]> };
  readonly workdir: string;
}

export function createMeasurements(deps: MeasurementsDeps): Measurements {
  const { trees, environments, clock, ids, log } = deps;
  /** By run. */
  const taking = new Map<string, Promise<void>>();

  deps.registry.onChange(({ before, job }) => {
    if (!job.task.run?.measures || !isEnded(job.state) || (before && isEnded(before.state))) return;
    forget(job).catch((error) =>
      log("warn", "could not delete the files of a measurement", { jobID: job.id, reason: String(error) }),
    );
  });

  async function forget({ id }: Job): Promise<void> {
    await taking.get(id)?.catch(() => {});
    const store = await trees.store();
    if (store) await forgetMeasured(store, id);
  }

  function toMeasuring(job: Job): MeasuringRun | null {
    const { run } = job.task;
    if (!run?.measures) return null;
    const workdir = environmentOf(environments, job.task)?.workdir;
    if (workdir === undefined)
      throw new PluginError("workspace_failed", `The environment "${job.task.environment}" is no longer configured.`);
    return { id: job.id, run: { ...run, measures: run.measures }, workdir };
  }

  function begin(sessionJobs: SessionJobs, runs: readonly MeasuringRun[]): Promise<void> {
    const taken = takeFiles(sessionJobs, runs);
    for (const { id } of runs) taking.set(id, taken);
    const done = () => {
      for (const { id } of runs) taking.delete(id); // what failed is tried again when the run starts
    };
    taken.then(done, done);
    return taken;
  }

  /** @param runs repeats of one benchmark on one job */
  async function takeFiles(sessionJobs: SessionJobs, runs: readonly MeasuringRun[]): Promise<void> {
    const [first] = runs;
    if (!first) return;
    const { command, measures } = first.run;
    const { jobID, protect, artifacts: patterns } = measures;
    const project = await trees.store();
    if (!project) throw new PluginError("workspace_failed", `The project of ${jobID} is gone.`);
    const scratchID = ids("measure");
    const notes = await withObjects(project, scratchID, async (place) => {
      const { based, work, artifacts } = await read(sessionJobs, jobID, patterns, project, place).catch((error) => {
        throw error instanceof NoGitError ? withoutGit(jobID, error) : error;
      });
      const { turns } = findJob(sessionJobs, jobID);
      if (measures.turns !== null && turns > measures.turns) throw wokenMeanwhile(jobID);
      const built = await buildMeasured({
        ...{ store: based.store, base: baseOf(based, work), changes: work, jobID, scratchID },
        artifacts: artifacts.entries,
        objects: join(place, "objects"),
        rules: { command, protect, artifacts: patterns, workdir: first.workdir },
        runIDs: runs.map(({ id }) => id),
      });
      const tooLarge = work.leftOut.filter((path) => !artifacts.entries.has(path));
      return measuredNotes(jobID, built, artifacts, { tooLarge, ignored: work.ignored });
    });
    for (const { id } of runs) sessionJobs.update(id, (run) => withNotes(run, notes));
  }

  /** What a job has changed, and its artifacts as they are at the same time. */
  async function read(
    sessionJobs: SessionJobs,
    jobID: string,
    patterns: readonly string[],
    store: ProjectStore,
    place: string,
  ): Promise<Pick<JobWork, "based" | "work"> & { readonly artifacts: Artifacts }> {
    if (patterns.length === 0) return { ...(await currentWork(deps, sessionJobs, jobID)), artifacts: NO_ARTIFACTS };
    return deps.jobFiles.read(sessionJobs, jobID, {
      async use(sandbox) {
        const based = await requireBase(deps, findJob(sessionJobs, jobID));
        const work = await fetchChanges({ ...based, sandbox, clock, scratchID: ids("work") });
        return {
          based,
          work,
          artifacts: await fetchArtifacts({ store, patterns, sandbox, place, clock, mark: ids("mark") }),
        };
      },
    });
  }

  async function placeFiles(sessionJobs: SessionJobs, runID: string, sandbox: Sandbox): Promise<void> {
    const job = requireJob(sessionJobs, runID);
    const measuring = toMeasuring(job);
    if (!measuring) return;
    const { setting, protect, jobID } = measuring.run.measures;
    const { base } = job;
    if (setting === "snapshot" && protect.length === 0) return;
    const store = await trees.store();
    if (!store || !base)
      throw new PluginError("workspace_failed", `The project's files that ${jobID} started from are gone.`);
    const request = { store, base, sandbox, clock, scratchID: ids("measure") };
    if (setting === "snapshot") {
      const removed = await restoreProtected(request, protect);
      const note = `Files of ${jobID} in protected places were removed: ${nameList(removed.map(toText))}.`;
      if (removed.length > 0) sessionJobs.update(runID, (run) => withNotes(run, [note]));
      return;
    }
    await taking.get(runID)?.catch(() => {});
    let files = await readMeasured(store, runID);
    if (!files) {
      await begin(sessionJobs, [measuring]);
      files = await readMeasured(store, runID);
    }
    if (!files) throw new PluginError("workspace_failed", `The files of ${jobID} that are to be measured are gone.`);
    await placeMeasured(request, runID, files);
  }

  return {
    take(sessionJobs, runs) {
      const byJob = new Map<string, MeasuringRun[]>();
      for (const job of runs) {
        const measuring = job.state.kind === "queued" ? toMeasuring(job) : null;
        if (measuring?.run.measures.setting !== "clean") continue;
        const { jobID } = measuring.run.measures;
        byJob.set(jobID, [...(byJob.get(jobID) ?? []), measuring]);
      }
      for (const [jobID, repeats] of byJob)
        begin(sessionJobs, repeats).catch((error) =>
          log("warn", "could not take the files that are to be measured", { jobID, reason: String(error) }),
        );
    },
    place(sessionJobs, runID, sandbox, signal) {
      if (!requireJob(sessionJobs, runID).task.run?.measures) return Promise.resolve();
      const placed = placeFiles(sessionJobs, runID, sandbox).catch((error) => {
        if (error instanceof PluginError) throw error;
        const { code, message } = toFailure(error, "workspace_failed", `put what ${runID} measures in place`);
        throw new PluginError(code, message, { cause: error, retryable: null });
      });
      return unlessAborted(placed, signal, "what it measures was in place");
    },
    settled: () => Promise.allSettled([...taking.values()]),
  };
}

const withoutGit = (jobID: string, cause: Error) =>
  new PluginError(
    "workspace_failed",
    `${jobID} cannot be measured in the setting "clean": its sandbox has no git, by which its changes are told. Start such jobs in an environment whose image has git, or use the setting "snapshot", which needs none.`,
    { cause, retryable: false },
  );

const wokenMeanwhile = (jobID: string) =>
  new PluginError(
    "workspace_failed",
    `A message woke ${jobID} before its files were taken, so that they are not those that were to be measured. Measure it again once it has ended.`,
    { retryable: false },
  );
