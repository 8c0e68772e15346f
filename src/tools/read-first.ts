import type { FilePart } from "../jobs/execution/workers.ts";
import { MAY_BE_OLD, renderKnownOld } from "../prompt/old-files.ts";
import { fullPath, meantPath } from "../sandboxes/meant-path.ts";
import { FileError, type Sandbox } from "../sandboxes/port.ts";
import type { ToolDeps } from "./define-tool.ts";
import { type FoundJob, type FoundWorker, findOwnJob, findWorker, refuseDenied } from "./find-worker.ts";
import type { ToolAnswer, ToolCall } from "./tool.ts";
import { untilOldFiles } from "./until-sandbox.ts";

/*
 * While a job's sandbox still gets what has changed in its project, tools that only read go ahead, and say of what they have
 * read that it may be old; all others wait.
 */

export interface Shown {
  readonly answer: ToolAnswer;
  /** Of a file; null = all there is. */
  readonly part: FilePart | null;
}

/** @param path as it is meant there */
type Read = (sandbox: Sandbox, path: string) => Promise<Shown>;
type Asked = { readonly tool: string; readonly path: string };

/** Reads in the sandbox of the calling session's own job. @throws as `findWorker`, and what `read` throws */
export async function readFirst(deps: ToolDeps, call: ToolCall, asked: Asked, read: Read): Promise<ToolAnswer> {
  const old = await readOld(await findOwnJob(deps, call.sessionID, asked.tool), call, asked, read);
  if (old) return old;
  const { runtime, sandbox } = await findWorker(deps, call, asked.tool, asked.path);
  const settle = (part: FilePart | null) =>
    runtime.workers.showedNew(call.sessionID, fullPath(asked.path, sandbox), part);
  try {
    const { answer, part } = await read(sandbox, meantPath(asked.path, sandbox));
    settle(part);
    return answer;
  } catch (error) {
    if (error instanceof FileError) settle(null); // it is gone
    throw error;
  }
}

/** @returns null where there is nothing to read so early, or it fails: a file may come yet */
async function readOld(
  { runtime, job }: FoundJob,
  call: ToolCall,
  { tool, path }: Asked,
  read: Read,
): Promise<ToolAnswer | null> {
  const files = await untilOldFiles(runtime, job, call);
  if (!files) return null;
  const reading = files.read(async (sandbox) => {
    refuseDenied(job, tool, path, sandbox);
    const meant = meantPath(path, sandbox);
    return { answer: (await read(sandbox, meant)).answer, meant, full: fullPath(path, sandbox) };
  });
  const found = await reading.catch(() => null);
  if (!found) return null;
  const { answer, meant, full } = found;
  if (await files.stays(meant)) return answer;
  runtime.workers.showedOld(call.sessionID, full);
  return { ...answer, output: `${answer.output}\n${MAY_BE_OLD}`, metadata: { ...answer.metadata, old: true } };
}

/** @throws FileError where the agent does not know the present state of a file that it would replace */
export function refuseOld({ runtime, sandbox }: FoundWorker, call: ToolCall, path: string): void {
  if (!runtime.workers.knowsOld(call.sessionID, fullPath(path, sandbox))) return;
  throw new FileError("file_failed", renderKnownOld(path));
}
