import { fileNameFor } from "../../workspace/paths.ts";
import type { TreeBase } from "../../workspace/project/capture-tree.ts";
import { identityOf } from "../../workspace/project/identity.ts";
import { type SendRequest, sendTree } from "../../workspace/sandbox/send-tree.ts";
import type { PreparedTree } from "../store/snapshot-store.ts";
import type { WarmTree } from "../store/warm-rows.ts";
import { type OldFiles, openOldFiles } from "./old-files.ts";

/** The files of a sandbox that was made with this prepared tree. */
export const toWarmTree = (
  base: TreeBase,
  { commit, form, environment }: PreparedTree,
  notes: readonly string[],
): WarmTree => ({
  project: base.project,
  commit,
  folders: foldersOf(base),
  form,
  ...(environment !== undefined && { emptyFolders: base.emptyFolders }),
  notes,
});

/**
 * Brings the files of a sandbox in which nothing was done yet to a later state of its project, by the difference.
 * @param onOldFiles told those that may be read until then, if there is a difference
 * @returns false where that cannot be done
 * @throws PluginError `workspace_failed`, `sandbox_lost`
 */
export async function bringToBase(
  request: Omit<SendRequest, "from" | "identity" | "beforeChange">,
  { project, commit, folders, form, emptyFolders }: WarmTree,
  onOldFiles: (files: OldFiles) => void,
): Promise<boolean> {
  const { base, store, sandbox } = request;
  if (project !== base.project) return false;
  if (commit === base.commit && folders === foldersOf(base)) return true;
  if (form === "files") return false; // a difference needs git
  const from = { commit, form, emptyFolders: emptyFolders ?? null };
  const { files, close } = openOldFiles({ sandbox, store, from: commit, to: base.commit });
  onOldFiles(files);
  try {
    const identity = await identityOf(store);
    return (await sendTree({ ...request, from, identity, beforeChange: close })) === "repository";
  } finally {
    close();
  }
}

const foldersOf = ({ emptyFolders }: TreeBase): string => fileNameFor(JSON.stringify(emptyFolders));
