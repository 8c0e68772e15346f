import { type FileHandle, lstat, mkdir, open, rename, rm, symlink, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { absoluteIn, formatSize, toBytes } from "../paths.ts";
import type { FetchedPiece } from "../sandbox/fetch-files.ts";
import type { ListedFile } from "../sandbox/list-files.ts";
import { type FileLimits, type LeftOut, type Selection, tooLarge } from "./select-files.ts";
import { openTarget } from "./target.ts";

/*
 * Writes a job's files to a folder of the user's project.
 * W1: everything is written to a new folder beside the target, which is renamed to the target once it is complete.
 * W2: nothing is written through a link: each file is created anew, each folder is checked, and links come last.
 * W3: files have mode 0644 or 0755, nothing else.
 */

export interface WrittenFile {
  readonly path: string;
  readonly bytes: number;
}

export interface Written {
  /** Files and links, in order. */
  readonly files: readonly WrittenFile[];
  readonly leftOut: readonly LeftOut[];
}

export interface WriteRequest {
  /** Absolute. */
  readonly root: string;
  /** Relative to `root`, from `decideFolder`. */
  readonly target: string;
  readonly selection: Selection;
  readonly contents: AsyncIterable<FetchedPiece>;
  readonly limits: FileLimits;
  /** Names the folder that is written first. */
  readonly scratchID: string;
}

/** The target was made while the files were fetched, as by another collect of the same job. */
export class TargetTakenError extends PluginError {
  constructor(target: string, cause: unknown) {
    const message = `Could not write the job's files: ${target} was made meanwhile; name a new folder.`;
    super("collect_failed", message, { cause, retryable: true });
  }
}

/** Codes by which a file system refuses a name, or takes it for another one. */
const NAME_CODES = new Set(["EEXIST", "ENAMETOOLONG", "EILSEQ", "EINVAL", "ENOTDIR", "EISDIR"]);

/** @throws PluginError `collect_failed`, Error; the target is then unchanged */
export async function writeFiles(request: WriteRequest): Promise<Written> {
  const { root, target, scratchID } = request;
  const parent = dirname(target);
  await openTarget(root, target);
  const partial = join(root, parent, `.collecting-${scratchID.replace(/\W/g, "_")}`);
  await mkdir(partial);
  try {
    const written = await writeAll(request, partial);
    if (written.files.length > 0)
      await rename(partial, join(root, target)).catch((cause: NodeJS.ErrnoException) => {
        throw new TargetTakenError(target, cause);
      });
    return written;
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

async function writeAll({ selection, contents, limits }: WriteRequest, partial: string): Promise<Written> {
  const files: WrittenFile[] = [];
  const leftOut: LeftOut[] = [...selection.leftOut];
  const folder = openFolder(partial);
  const incoming = contents[Symbol.asyncIterator]();
  let total = 0;
  try {
    for (const file of selection.files) {
      const handle = await unlessNameRefused(folder.create(file));
      const { bytes, ok } = await receive(typeof handle === "string" ? null : handle).finally(async () => {
        if (typeof handle !== "string") await handle.close();
      });
      const isTooLarge = bytes > limits.fileBytes;
      const problem = isTooLarge ? tooLarge(limits) : ok ? null : "it could not be read";
      const why = typeof handle === "string" ? handle : problem;
      if (why === null) files.push({ path: file.path, bytes });
      else {
        if (typeof handle !== "string") await unlink(folder.at(file.path));
        leftOut.push({ path: file.path, why, bytes: isTooLarge ? null : file.bytes });
      }
    }
  } finally {
    await incoming.return?.();
  }
  for (const link of selection.links) {
    const refused = await unlessNameRefused(folder.link(link));
    if (typeof refused === "string") leftOut.push({ path: link.path, why: refused, bytes: null });
    else files.push({ path: link.path, bytes: 0 });
  }
  return { files: files.sort(byPath), leftOut: leftOut.sort(byPath) };

  /** Receives the next file; what exceeds the limit for one file is discarded. @param handle null = discard all of it */
  async function receive(handle: FileHandle | null): Promise<{ readonly bytes: number; readonly ok: boolean }> {
    for (let bytes = 0; ; ) {
      const next = await incoming.next();
      if (next.done) throw failed("the sandbox sent fewer files than it has");
      if (next.value.kind === "end") return { bytes, ok: next.value.ok };
      bytes += next.value.bytes.length;
      total += next.value.bytes.length;
      if (total > limits.bytes)
        throw failed(`the files grew to more than ${formatSize(limits.bytes)}; name fewer in paths`);
      if (bytes <= limits.fileBytes) await append(handle, next.value.bytes);
    }
  }
}

async function append(handle: FileHandle | null, bytes: Buffer): Promise<void> {
  for (let at = 0; handle && at < bytes.length; ) at += (await handle.write(bytes, at)).bytesWritten;
}

/** W2 */
function openFolder(root: string) {
  const at = absoluteIn(root);
  const made = new Set<string>();
  async function makeParents(path: string): Promise<void> {
    const parts = path.split("/").slice(0, -1);
    for (const [n] of parts.entries()) {
      const folder = parts.slice(0, n + 1).join("/");
      if (made.has(folder)) continue;
      await mkdir(at(folder), { mode: 0o755 }).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== "EEXIST" || !(await lstat(at(folder))).isDirectory()) throw error;
      });
      made.add(folder);
    }
  }
  return {
    at,
    async create({ path, isExecutable }: ListedFile): Promise<FileHandle> {
      await makeParents(path);
      return open(at(path), "wx", isExecutable ? 0o755 : 0o644); // W3
    },
    async link({ path, to }: ListedFile): Promise<void> {
      await makeParents(path);
      await symlink(toBytes(to), at(path));
    },
  };
}

/** The outcome, or why the file system refuses the name. Other failures, such as a full disk, are thrown. */
async function unlessNameRefused<T>(writing: Promise<T>): Promise<T | string> {
  try {
    return await writing;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    if (NAME_CODES.has(code)) return `its name is taken or cannot be used here (${code})`;
    throw error;
  }
}

const byPath = (a: { readonly path: string }, b: { readonly path: string }) => (a.path < b.path ? -1 : 1);

const failed = (why: string, cause?: unknown) =>
  new PluginError("collect_failed", `Could not write the job's files: ${why}.`, { cause, retryable: false });
