import { join, posix } from "node:path";
import type { Job } from "../../core/job.ts";
import { meantPath } from "../../sandboxes/meant-path.ts";
import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import { nameList } from "../../shared/plain-text.ts";
import { isInstruction } from "../../workspace/collect/auto-loaded-files.ts";
import type { BuiltCommits } from "../../workspace/collect/build-commits.ts";
import { type AutoLoadedFile, findAutoLoadedFiles } from "../../workspace/collect/find-auto-loaded.ts";
import { type LinkedSelection, selectLinked } from "../../workspace/collect/linked-files.ts";
import { exactPaths, FILE_LIMITS, type LeftOut, parsePatterns } from "../../workspace/collect/select-files.ts";
import { type Written, writeFiles } from "../../workspace/collect/write-files.ts";
import { toText } from "../../workspace/paths.ts";
import { readChanges } from "../../workspace/project/stored-changes.ts";
import { fetchChanges } from "../../workspace/sandbox/fetch-changes.ts";
import { fetchFiles } from "../../workspace/sandbox/fetch-files.ts";
import { listFiles } from "../../workspace/sandbox/list-files.ts";
import { buildWork, type ChangesDeps, requireBase } from "../sandbox/job-changes.ts";
import type { FilesSource } from "../sandbox/job-files.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionOpener } from "../session/session-jobs.ts";

export interface CollectFilesDeps extends ChangesDeps, SessionOpener {}

export interface FilesRequest {
  /** The project's root, absolute. */
  readonly root: string;
  /** The folder that is written to, relative to `root`, from `decideFolder`. */
  readonly target: string;
  /**
   * Patterns. None = the results that a run's task names; else the files that the job changed, or all files of a job that
   * started without any.
   */
  readonly paths: readonly string[];
  /** Whether the host reads the file at this path of the project as instructions. */
  readonly isConfigured: (path: string) => boolean;
  readonly signal: AbortSignal;
}

export interface CopiedFiles extends Written {
  readonly job: Job;
  readonly source: FilesSource;
  /** Patterns that nothing matched. */
  readonly unmatched: readonly string[];
  readonly attention: readonly AutoLoadedFile[];
  /** What else the folder lacks, one sentence each. */
  readonly notes: readonly string[];
}

const LIST_LIMIT_MS = 3 * 60_000;
const FETCH_LIMIT_MS = 30 * 60_000;

/**
 * Copies files of a job to a folder of the user's project, also files that git ignores.
 * @throws PluginError `not_found`, `invalid_task`, `collect_failed`, and what making a sandbox may throw
 */
export async function collectFiles(
  deps: CollectFilesDeps,
  orchestrator: string,
  jobID: string,
  { root, target, paths: wantedPaths, isConfigured, signal }: FilesRequest,
): Promise<CopiedFiles> {
  const sessionJobs = await deps.sessionJobs(orchestrator);
  const { run } = findJob(sessionJobs, jobID).task;
  const paths = wantedPaths.length > 0 ? wantedPaths : (run?.files ?? []);
  const { clock } = deps;
  return deps.jobFiles.read(sessionJobs, jobID, { use, signal });

  async function use(sandbox: Sandbox, source: FilesSource): Promise<CopiedFiles> {
    try {
      const built = paths.length > 0 ? null : await changes(sandbox, source);
      const all = paths.length > 0 ? paths.map((path) => meantPath(path, sandbox)) : ["**"];
      const wanted = built ? exactPaths(built.changed) : parsePatterns(all, sandbox.workdir);
      const isInstructionAtTarget = (path: string) =>
        isInstruction(path) || isConfigured(posix.join(target, toText(path)));
      const bounds = { clock, limitMs: LIST_LIMIT_MS, signal };
      const selection = await selectLinked({
        request: wanted,
        workdir: sandbox.workdir,
        limits: FILE_LIMITS,
        isInstructionAtTarget,
        list: (roots) => listFiles(sandbox, roots, bounds),
      });
      const scratchID = deps.ids("files");
      const { fileBytes } = FILE_LIMITS;
      const mark = deps.ids("mark");
      const contents = fetchFiles(sandbox, selection.files, {
        clock,
        limitMs: FETCH_LIMIT_MS,
        signal,
        mark,
        fileBytes,
      });
      const written = await writeFiles({ root, target, selection, contents, limits: FILE_LIMITS, scratchID });
      return {
        files: written.files,
        leftOut: [...written.leftOut, ...(built ? missing(built.leftOut, written) : [])],
        attention: await findAutoLoadedFiles(
          join(root, target),
          written.files.map(({ path }) => path),
        ),
        job: findJob(sessionJobs, jobID),
        source,
        unmatched: selection.unmatched,
        notes: [...(built ? removedOf(built, selection) : []), ...nowhereOf(selection)],
      };
    } catch (error) {
      if (error instanceof PluginError) throw error;
      const { message } = toFailure(error, "collect_failed", `collect files of ${jobID}`);
      throw new PluginError("collect_failed", message, { cause: error, retryable: null });
    }
  }

  /** The job's changes; null = it started without files, so all its files are its own. */
  async function changes(sandbox: Sandbox, source: FilesSource): Promise<BuiltCommits | null> {
    const job = findJob(sessionJobs, jobID);
    if (!job.base) return null;
    const based = await requireBase(deps, job);
    const kept = source.kind === "snapshot" ? await readChanges(based.store, jobID) : null;
    const work = kept ?? (await fetchChanges({ ...based, sandbox, clock, scratchID: deps.ids("work") }));
    return buildWork(deps, based, work);
  }
}

/** Files that a branch leaves out may still be copied: only the others are reported. */
const missing = (leftOut: readonly LeftOut[], { files, leftOut: said }: Written): LeftOut[] => {
  const known = new Set([...files, ...said].map(({ path }) => path));
  return leftOut.filter(({ path }) => !known.has(path));
};

function removedOf({ changed }: BuiltCommits, { listed }: LinkedSelection): string[] {
  const removed = changed.filter((path) => !listed.has(path)).map(toText);
  return removed.length === 0 ? [] : [`files that are no longer there: ${nameList(removed)}`];
}

function nowhereOf({ nowhere }: LinkedSelection): string[] {
  const links = nowhere.map(({ path, to }) => `${toText(path)} -> ${toText(to)}`);
  return links.length === 0
    ? []
    : [`what these links lead to, which is not there or was not taken: ${nameList(links)}`];
}
