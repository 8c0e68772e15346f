import { lstat, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { lstatOrNull } from "../../shared/missing-file.ts";
import { formatSize } from "../paths.ts";
import type { ProjectStore } from "../project/project-store.ts";
import type { BuiltCommits } from "./build-commits.ts";
import { openTarget } from "./target.ts";

const START = "diff --git ";
/** Larger ones are of no use to anybody, and `git apply` reads them into memory. */
const PATCH_BYTES = 256 * 1024 * 1024;

/**
 * Writes a job's changes as a patch for `git apply`, which refuses an empty one, so without changes there is none. An
 * earlier patch at the target is replaced, any other file is not.
 * @param target relative to the project's root, from `decideTarget`
 * @param scratchID names the file that is written first
 * @returns whether there were changes to write
 * @throws PluginError `collect_failed`, GitError
 */
export async function writePatch(
  store: ProjectStore,
  { baseTree, tree, env }: BuiltCommits,
  target: string,
  scratchID: string,
  maxBytes = PATCH_BYTES,
): Promise<boolean> {
  await openTarget(store.root, target);
  const file = join(store.root, target);
  const existing = await lstatOrNull(file);
  if (existing && !(existing.isFile() && (await isPatch(file))))
    throw new PluginError(
      "collect_failed",
      `Could not write ${target}: it already exists and is not a patch; name another file.`,
      { retryable: false },
    );
  const how = ["--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
  const partial = join(dirname(file), `.${scratchID.replace(/\W/g, "_")}.patch-partial`);
  await rm(partial, { force: true });
  try {
    const args = ["diff", ...how, "--src-prefix=a/", "--dst-prefix=b/", baseTree, tree, "--"];
    await store.toFile(args, partial, { env, maxBytes, isUntrusted: true }).catch(async (cause: unknown) => {
      const isFull = ((await lstatOrNull(partial))?.size ?? 0) >= maxBytes;
      throw isFull ? tooLarge(target, maxBytes, cause) : cause;
    });
    const isEmpty = (await lstat(partial)).size === 0;
    if (isEmpty) await rm(file, { force: true });
    else await rename(partial, file);
    return !isEmpty;
  } finally {
    await rm(partial, { force: true });
  }
}

const tooLarge = (target: string, bytes: number, cause: unknown) =>
  new PluginError(
    "collect_failed",
    `Could not write ${target}: the patch is larger than ${formatSize(bytes)}; name some of the files in paths, or use mode "branch".`,
    { cause, retryable: false },
  );

/** Whether a file is a patch as `writePatch` writes it. Former versions also wrote empty ones. */
async function isPatch(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(START.length), 0, START.length, 0);
    return bytesRead === 0 || buffer.toString() === START;
  } finally {
    await handle.close();
  }
}
