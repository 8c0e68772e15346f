import { join, posix } from "node:path";
import type { Sandbox } from "../../sandboxes/port.ts";
import { PluginError, toFailure } from "../../shared/error-code.ts";
import { plainName } from "../../shared/plain-text.ts";
import { findObeyedFiles, type Obeyed } from "../../workspace/attention.ts";
import type { Built } from "../../workspace/build-commits.ts";
import { chooseFiles, exactly, FILE_LIMITS, type LeftOut, parseWanted } from "../../workspace/choose-files.ts";
import { fetchFiles } from "../../workspace/fetch-files.ts";
import { gatherWork, readWork } from "../../workspace/gather-work.ts";
import { type ListedFile, listFiles } from "../../workspace/list-files.ts";
import { isInstruction } from "../../workspace/obeyed-files.ts";
import { toText } from "../../workspace/paths.ts";
import { type Written, writeFiles } from "../../workspace/write-files.ts";
import type { Job } from "../core/job.ts";
import type { Runtime } from "../runtime.ts";
import { type FilesSource, withJobFiles } from "../sandbox/job-files.ts";
import { findJob } from "../session/find-jobs.ts";
import { buildWork, requireBase } from "./job-changes.ts";

export interface FilesRequest {
  /** Absolute. */
  readonly root: string;
  /** Relative to it, from `decideFolder`. */
  readonly target: string;
  /** Patterns; none = what the job changed, or everything where it started without files. */
  readonly paths: readonly string[];
  /** Whether the host is configured to read a file as instructions, by its path in the project. */
  readonly isConfigured: (path: string) => boolean;
  readonly signal: AbortSignal;
}

export interface CollectedFiles extends Written {
  readonly job: Job;
  readonly source: FilesSource;
  /** Patterns that nothing matched. */
  readonly unmatched: readonly string[];
  readonly attention: readonly Obeyed[];
  /** What else is not among them, in words. */
  readonly notes: readonly string[];
}

const LIST_LIMIT_MS = 3 * 60_000;
const FETCH_LIMIT_MS = 30 * 60_000;
const SHOWN = 20;

/**
 * Copies files of a job to a folder of the user's project, whatever git says of them.
 * @throws PluginError `not_found`, `invalid_task`, `collect_failed`, and what making a sandbox may throw
 */
export async function collectFiles(
  runtime: Runtime,
  orchestrator: string,
  jobID: string,
  { root, target, paths, isConfigured, signal }: FilesRequest,
): Promise<CollectedFiles> {
  const sessionJobs = await runtime.sessionJobs(orchestrator);
  findJob(sessionJobs, jobID);
  const { clock } = runtime;
  return withJobFiles(runtime, sessionJobs, jobID, { use, signal });

  async function use(sandbox: Sandbox, source: FilesSource): Promise<CollectedFiles> {
    try {
      const built = paths.length > 0 ? null : await changes(sandbox, source);
      const all = paths.length > 0 ? paths : ["**"];
      const wanted = built ? exactly(built.changed) : parseWanted(all, sandbox.workdir);
      const listed = await listFiles(sandbox, wanted.roots, { clock, limitMs: LIST_LIMIT_MS, signal });
      const isObeyed = (path: string) => isInstruction(path) || isConfigured(posix.join(target, toText(path)));
      const chosen = chooseFiles(listed, wanted, FILE_LIMITS, isObeyed);
      const nonce = runtime.ids("files");
      const { fileBytes } = FILE_LIMITS;
      const mark = runtime.ids("mark");
      const contents = fetchFiles(sandbox, chosen.files, { clock, limitMs: FETCH_LIMIT_MS, signal, mark, fileBytes });
      const written = await writeFiles({ root, target, chosen, contents, limits: FILE_LIMITS, nonce });
      return {
        files: written.files,
        leftOut: [...written.leftOut, ...(built ? missing(built.leftOut, written) : [])],
        attention: await findObeyedFiles(
          join(root, target),
          written.files.map(({ path }) => path),
        ),
        job: findJob(sessionJobs, jobID),
        source,
        unmatched: chosen.unmatched,
        notes: built ? removedOf(built, listed) : [],
      };
    } catch (error) {
      if (error instanceof PluginError) throw error;
      const { message } = toFailure(error, "collect_failed", `collect files of ${jobID}`);
      throw new PluginError("collect_failed", message, { cause: error, retryable: null });
    }
  }

  /** null = it has no base, so all it has is its own. */
  async function changes(sandbox: Sandbox, source: FilesSource): Promise<Built | null> {
    const job = findJob(sessionJobs, jobID);
    if (!job.base) return null;
    const based = await requireBase(runtime, job);
    const kept = source.kind === "snapshot" ? await readWork(based.store, jobID) : null;
    const work = kept ?? (await gatherWork({ ...based, sandbox, clock, nonce: runtime.ids("work") }));
    return buildWork(runtime, based, work);
  }
}

/** What cannot be in a branch may well be among files. */
const missing = (leftOut: readonly LeftOut[], { files, leftOut: said }: Written): LeftOut[] => {
  const known = new Set([...files, ...said].map(({ path }) => path));
  return leftOut.filter(({ path }) => !known.has(path));
};

function removedOf({ changed }: Built, listed: readonly ListedFile[]): string[] {
  const there = new Set(listed.map(({ path }) => path));
  const removed = changed.filter((path) => !there.has(path)).map((path) => plainName(toText(path)));
  return removed.length === 0
    ? []
    : [`files that are no longer there: ${removed.slice(0, SHOWN).join(", ")}${removed.length > SHOWN ? ", …" : ""}`];
}
