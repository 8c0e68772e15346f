import { lstat, mkdir, rename, rm } from "node:fs/promises";
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { LabError } from "../shared/error-code.ts";
import type { Built } from "./build-commits.ts";
import { workEnv } from "./gather-work.ts";
import { fromText, isSafePath } from "./paths.ts";
import type { ProjectStore } from "./project-store.ts";

const PATCH_BYTES = 256 * 1024 * 1024;

/** Where in the project something may be written, relative to its root. @throws LabError `collect_failed` */
export function decideTarget(store: ProjectStore, into: string): string {
  const path = isAbsolute(into) ? relative(store.root, into) : relative(store.root, resolve(store.root, into));
  if (isSafePath(fromText(path.split(sep).join("/")))) return path;
  throw new LabError(
    "collect_failed",
    `Could not write to ${into}: it is not a path inside the project ${store.root}.`,
    {
      retryable: false,
    },
  );
}

/**
 * Writes a job's changes as a patch for `git apply`, in place of what is there.
 * @param target relative to the project's root, from `decideTarget`
 * @throws LabError `collect_failed`, GitError
 */
export async function makePatch(
  store: ProjectStore,
  jobID: string,
  { baseTree, tree }: Built,
  target: string,
  paths: readonly string[],
): Promise<void> {
  await makeFolders(store.root, dirname(target));
  const file = join(store.root, target);
  const there = await lstat(file).catch(() => null);
  if (there && !there.isFile())
    throw new LabError("collect_failed", `Could not write ${target}: it is there and is no plain file.`, {
      retryable: false,
    });
  const how = ["--binary", "--full-index", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
  const beside = join(dirname(file), `.${jobID.replace(/\W/g, "_")}.patch-half`);
  await rm(beside, { force: true });
  try {
    await store.toFile(["diff", ...how, "--src-prefix=a/", "--dst-prefix=b/", baseTree, tree, "--", ...paths], beside, {
      env: workEnv(store, jobID),
      maxBytes: PATCH_BYTES,
      isUntrusted: true,
    });
    await rename(beside, file);
  } finally {
    await rm(beside, { force: true });
  }
}

/** Makes the folders of a target one by one: a link among them might lead out of the project. */
async function makeFolders(root: string, folder: string): Promise<void> {
  let path = root;
  for (const part of folder.split(sep).filter((one) => one !== "" && one !== ".")) {
    path = join(path, part);
    await mkdir(path).catch(() => {});
    if (!(await lstat(path)).isDirectory())
      throw new LabError("collect_failed", `Could not write below ${path}: it is no folder.`, { retryable: false });
  }
}
