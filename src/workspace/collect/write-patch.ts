import { lstat, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { jobObjectsEnv } from "../sandbox/fetch-changes.ts";
import type { BuiltCommits } from "./build-commits.ts";
import { openTarget } from "./target.ts";

const START = "diff --git ";
const PATCH_BYTES = 256 * 1024 * 1024;

/**
 * Writes a job's changes as a patch for `git apply`, in place of an earlier one.
 * @param target relative to the project's root, from `decideTarget`
 * @throws PluginError `collect_failed`, GitError
 */
export async function writePatch(
  store: ProjectStore,
  jobID: string,
  { baseTree, tree }: BuiltCommits,
  target: string,
  paths: readonly string[],
): Promise<void> {
  await openTarget(store.root, target);
  const file = join(store.root, target);
  const there = await lstat(file).catch(() => null);
  if (there && !(there.isFile() && (await isPatch(file))))
    throw new PluginError(
      "collect_failed",
      `Could not write ${target}: it is there and is no patch; name another file.`,
      {
        retryable: false,
      },
    );
  const how = ["--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
  const beside = join(dirname(file), `.${jobID.replace(/\W/g, "_")}.patch-half`);
  await rm(beside, { force: true });
  try {
    await store.toFile(["diff", ...how, "--src-prefix=a/", "--dst-prefix=b/", baseTree, tree, "--", ...paths], beside, {
      env: jobObjectsEnv(store, jobID),
      maxBytes: PATCH_BYTES,
      isUntrusted: true,
    });
    await rename(beside, file);
  } finally {
    await rm(beside, { force: true });
  }
}

/** As writePatch writes them; one without changes is empty. */
async function isPatch(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(START.length), 0, START.length, 0);
    return bytesRead === 0 || buffer.toString() === START;
  } finally {
    await handle.close();
  }
}
