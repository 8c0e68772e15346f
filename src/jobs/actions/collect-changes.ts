import { posix } from "node:path";
import type { Job } from "../../core/job.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import { nameList } from "../../shared/plain-text.ts";
import type { BuiltCommits } from "../../workspace/collect/build-commits.ts";
import { createBranch } from "../../workspace/collect/create-branch.ts";
import { narrowCommits } from "../../workspace/collect/narrow-commits.ts";
import { type MergePreview, previewMerge } from "../../workspace/collect/preview-merge.ts";
import { type FileRequest, parsePatterns } from "../../workspace/collect/select-files.ts";
import { writePatch } from "../../workspace/collect/write-patch.ts";
import { splitRecords, toText } from "../../workspace/paths.ts";
import { identityOf } from "../../workspace/project/identity.ts";
import type { ProjectStore } from "../../workspace/project/project-store.ts";
import { changesEnv, readChanges } from "../../workspace/project/stored-changes.ts";
import type { Ledger } from "../project/ledger.ts";
import { baseOf, buildWork, type ChangesDeps, currentWork, requireBase } from "../sandbox/job-changes.ts";
import type { FilesSource } from "../sandbox/job-files.ts";
import { findJob } from "../session/find-jobs.ts";
import type { SessionJobs, SessionOpener } from "../session/session-jobs.ts";

export interface CollectChangesDeps extends ChangesDeps, SessionOpener {
  readonly ledger: Pick<Ledger, "saveBranch">;
}

export type CollectRequest =
  | { readonly mode: "branch" }
  /** `target` is relative to the project's root, from `decideTarget`. `paths`: patterns; without any, all changes are taken. */
  | { readonly mode: "patch"; readonly target: string; readonly paths: readonly string[] };

export interface Collected {
  readonly job: Job;
  readonly source: FilesSource;
  readonly built: BuiltCommits;
  readonly branch: string | null;
  /** Whether there is a branch or a patch: none is made of nothing. */
  readonly isWritten: boolean;
  /** Patterns that match no changed file. */
  readonly unmatched: readonly string[];
  readonly stat: { readonly files: number; readonly insertions: number; readonly deletions: number };
  readonly preview: MergePreview;
  /** Other jobs that changed the same files, by job id. */
  readonly overlaps: ReadonlyMap<string, readonly string[]>;
}

/**
 * Brings a job's changes to the user's repository as a branch or patch, and says how they merge with the user's files and
 * which other jobs changed the same ones.
 * @throws PluginError `not_found`, `collect_failed`, `workspace_failed`
 */
export async function collectChanges(
  deps: CollectChangesDeps,
  orchestrator: string,
  jobID: string,
  request: CollectRequest,
): Promise<Collected> {
  const sessionJobs = await deps.sessionJobs(orchestrator);
  const job = findJob(sessionJobs, jobID);
  await requireBase(deps, job); // first of all, as it takes no sandbox
  const { based, work, source, workdir } = await currentWork(deps, sessionJobs, jobID);
  const { store } = based;
  try {
    const whole = await buildWork(deps, based, work);
    const paths = request.mode === "patch" ? request.paths : [];
    const { built, unmatched } =
      paths.length === 0
        ? { built: whole, unmatched: [] }
        : await narrowCommits(store, whole, toPatterns(paths, workdir), deps.ids("narrow"));
    // Of paths that match nothing no patch is made, and one that is there already is worth more.
    const isMissed = paths.length > 0 && built.changed.length === 0;
    const branch = request.mode === "branch" ? await createBranch(store, jobID, built, deps.ids("pack")) : null;
    if (branch !== null) await deps.ledger.saveBranch(sessionJobs.orchestrator, jobID, branch);
    const isWritten =
      request.mode === "branch"
        ? branch !== null
        : !isMissed && (await writePatch(store, built, request.target, deps.ids("patch")));
    const identity = await identityOf(store);
    const preview = await previewMerge(store, baseOf(based, work), built, {
      scratchID: deps.ids("tree"),
      identity,
    });
    const { overlaps, unread } = await findOverlaps(sessionJobs, store, job, built);
    const isByOurs = branch !== null && built.commits.length > 0 && identity.invented !== null;
    const remarks = [...built.remarks, ...(isByOurs ? [identity.invented] : []), ...toUncompared(unread)];
    return {
      job,
      source,
      built: { ...built, remarks },
      branch,
      isWritten,
      unmatched,
      stat: await statOf(store, built),
      preview,
      overlaps,
    };
  } catch (error) {
    if (error instanceof PluginError) throw error;
    const { message } = toFailure(error, "collect_failed", `collect the work of ${jobID}`);
    const advice = message.includes("lacks an object") ? ` ${MAY_BE_GONE}` : "";
    throw new PluginError("collect_failed", `${message}${advice}`, { cause: error, retryable: false });
  }
}

const MAY_BE_GONE =
  'Where git has cleaned up what the job started from, nothing brings that back: take its files with mode "files" and paths.';

/** @throws PluginError `invalid_task` */
function toPatterns(paths: readonly string[], workdir: string | null): FileRequest {
  const isOutside = (path: string) =>
    path !== "/" && (posix.isAbsolute(path) || posix.normalize(path).startsWith(".."));
  if (workdir === null && paths.some(isOutside))
    throw new PluginError(
      "invalid_task",
      "Give paths relative to the job's work directory: it is not known any more.",
      {
        retryable: false,
      },
    );
  return parsePatterns(paths, workdir ?? "/");
}

const toUncompared = (jobs: readonly string[]): string[] =>
  jobs.length === 0
    ? []
    : [
        `Whether other jobs have changed the same files is not known of those whose kept changes cannot be read: ${nameList(jobs)}.`,
      ];

/** @returns also the jobs whose changes cannot be read, which is no reason to fail: the branch or patch is there already */
async function findOverlaps(sessionJobs: SessionJobs, store: ProjectStore, job: Job, { changed }: BuiltCommits) {
  const overlaps = new Map<string, readonly string[]>();
  const unread: string[] = [];
  const own = new Set(changed);
  for (const other of sessionJobs.all()) {
    if (other.id === job.id || other.base?.project !== store.root) continue;
    try {
      const work = await readChanges(store, other.id);
      if (!work) continue;
      const env = changesEnv(store, other.id, work);
      const names = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", work.base, work.tip];
      const theirs = splitRecords(await store.run(names, { env, isUntrusted: true }));
      const common = theirs.filter((path) => own.has(path)).map(toText);
      if (common.length > 0) overlaps.set(other.id, common);
    } catch {
      unread.push(other.id);
    }
  }
  return { overlaps, unread };
}

async function statOf(store: ProjectStore, { baseTree, tree, env }: BuiltCommits) {
  const how = ["diff", "--numstat", "-z", "--no-renames", "--no-ext-diff", "--no-textconv", baseTree, tree];
  const lines = splitRecords(await store.run(how, { env, isUntrusted: true }));
  const sum = (column: number) => lines.reduce((total, line) => total + (Number(line.split("\t")[column]) || 0), 0);
  return { files: lines.length, insertions: sum(0), deletions: sum(1) };
}
