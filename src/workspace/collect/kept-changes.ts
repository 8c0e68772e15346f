import { join } from "node:path";
import type { Git, GitRun } from "../git.ts";
import { storeFolder } from "../project/project-store.ts";
import { changesEnv, isNothing, readChanges } from "../project/stored-changes.ts";

/** What a job has changed, as it was kept when its sandbox was given up. */
export interface KeptChanges {
  /** By git's letter: A, M, D, T. Names may contain anything. */
  readonly files: readonly { readonly change: string; readonly path: string }[];
  /** The first part of the changes as text. */
  readonly diff: string;
  readonly isCut: boolean;
}

const MOST_FILES = 2_000;
/** Bytes of text that a person looks at. */
const MOST_TEXT = 400_000;

/**
 * Reads what is kept of a job's changes, and changes nothing.
 * @param root absolute: the project that the job started from
 * @returns null where nothing is kept: the job has not been parked yet
 * @throws PluginError `config_invalid` when the store is a link; GitError
 */
export async function readKeptChanges(
  git: Git,
  stateDir: string,
  root: string,
  jobID: string,
): Promise<KeptChanges | null> {
  const folder = storeFolder(stateDir, root);
  const changes = await readChanges({ folder }, jobID);
  if (!changes) return null;
  if (isNothing(changes)) return { files: [], diff: "", isCut: false };
  const how = ["--no-ext-diff", "--no-textconv", "--no-color", "--no-renames"];
  const diff = (...more: readonly string[]): GitRun => ({
    args: [`--git-dir=${join(folder, "git")}`, "diff", ...how, ...more, changes.base, changes.tip, "--"],
    cwd: folder,
    config: "none",
    env: changesEnv({ folder }, jobID, changes),
    isUntrusted: true,
  });
  const names = (await git.read(diff("--name-status", "-z"))).toString("utf8").split("\0").slice(0, -1);
  const files = names.flatMap((path, index) => (index % 2 === 1 ? [{ change: names[index - 1] as string, path }] : []));
  const { text, isCut } = await beginningOf(git.stream(diff()));
  return { files: files.slice(0, MOST_FILES), diff: text, isCut: isCut || files.length > MOST_FILES };
}

async function beginningOf(stream: AsyncIterable<Buffer>): Promise<{ text: string; isCut: boolean }> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MOST_TEXT) break;
  }
  const text = Buffer.concat(chunks).subarray(0, MOST_TEXT).toString("utf8");
  return { text, isCut: bytes > MOST_TEXT };
}
