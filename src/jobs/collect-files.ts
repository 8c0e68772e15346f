import type { Sandbox } from "../sandboxes/port.ts";
import { LabError, toFailure } from "../shared/error-code.ts";
import { chooseFiles, exactly, FILE_LIMITS, parseWanted, type Wanted } from "../workspace/choose-files.ts";
import { fetchFiles } from "../workspace/fetch-files.ts";
import { gatherWork, readWork } from "../workspace/gather-work.ts";
import { listFiles } from "../workspace/list-files.ts";
import { type Written, writeFiles } from "../workspace/write-files.ts";
import { findJob } from "./find-jobs.ts";
import type { Job } from "./job.ts";
import { buildWork, requireBase } from "./job-work.ts";
import type { Lab } from "./lab.ts";
import { type FilesSource, reachFiles } from "./reach-files.ts";

export interface FilesRequest {
  /** Absolute. */
  readonly root: string;
  /** Relative to it, from `decideFolder`. */
  readonly target: string;
  /** Patterns; none = what the job changed, or everything where it started without files. */
  readonly paths: readonly string[];
  readonly signal: AbortSignal;
}

export interface CollectedFiles extends Written {
  readonly job: Job;
  readonly source: FilesSource;
  /** Patterns that nothing matched. */
  readonly unmatched: readonly string[];
}

const LIST_LIMIT_MS = 3 * 60_000;
const FETCH_LIMIT_MS = 30 * 60_000;

/**
 * Copies files of a job to a folder of the user's project, whatever git says of them.
 * @throws LabError `not_found`, `invalid_task`, `collect_failed`, and what making a sandbox may throw
 */
export async function collectFiles(
  lab: Lab,
  orchestrator: string,
  jobID: string,
  { root, target, paths, signal }: FilesRequest,
): Promise<CollectedFiles> {
  const book = await lab.book(orchestrator);
  findJob(book, jobID);
  const { clock } = lab;
  return reachFiles(lab, book, jobID, { use, signal });

  async function use(sandbox: Sandbox, source: FilesSource): Promise<CollectedFiles> {
    try {
      const wanted = paths.length > 0 ? parseWanted(paths, sandbox.workdir) : await changed(sandbox, source);
      const listed = await listFiles(sandbox, wanted.roots, { clock, limitMs: LIST_LIMIT_MS, signal });
      const chosen = chooseFiles(listed, wanted, FILE_LIMITS);
      const nonce = lab.ids("files");
      const { fileBytes } = FILE_LIMITS;
      const mark = lab.ids("mark");
      const contents = fetchFiles(sandbox, chosen.files, { clock, limitMs: FETCH_LIMIT_MS, signal, mark, fileBytes });
      const written = await writeFiles({ root, target, chosen, contents, limits: FILE_LIMITS, nonce });
      return { ...written, job: findJob(book, jobID), source, unmatched: chosen.unmatched };
    } catch (error) {
      if (error instanceof LabError) throw error;
      const { message } = toFailure(error, "collect_failed", `collect files of ${jobID}`);
      throw new LabError("collect_failed", message, { cause: error, retryable: null });
    }
  }

  async function changed(sandbox: Sandbox, source: FilesSource): Promise<Wanted> {
    const job = findJob(book, jobID);
    if (!job.base) return parseWanted(["**"], sandbox.workdir);
    const based = { ...(await requireBase(lab, job)), jobID };
    const kept = source.kind === "snapshot" ? await readWork(based.store, jobID) : null;
    const work = kept ?? (await gatherWork({ ...based, sandbox, clock, nonce: lab.ids("work") }));
    return exactly((await buildWork(lab, based, work)).changed);
  }
}
