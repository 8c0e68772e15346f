import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { jobObjectsEnv } from "../sandbox/fetch-changes.ts";
import type { BuiltCommits } from "./build-commits.ts";

/**
 * Makes or moves the branch `agents/<job id>`: the one place that writes to the user's repository. Objects and this one
 * reference are all; working tree, index, HEAD and hooks have no part in it.
 * @param scratchID names the scratch file of this call
 * @throws PluginError `collect_failed`, GitError
 */
export async function createBranch(
  store: ProjectStore,
  jobID: string,
  { base, tip }: BuiltCommits,
  scratchID: string,
): Promise<string> {
  const branch = `agents/${jobID}`;
  const refuse = (why: string) =>
    new PluginError("collect_failed", `Could not make the branch ${branch}: ${why}`, { retryable: false });
  if (!store.isRepository || base === null)
    throw refuse(`${store.root} is no git repository; use mode "patch" or "files".`);
  const ref = `refs/heads/${branch}`;
  const there =
    (await store.user(["rev-parse", "--quiet", "--verify", ref]).catch(() => null))?.toString().trim() ?? null;
  if (there === tip) return branch;
  const record = recordOf(store, jobID);
  const ours = await readFile(record, "utf8").catch(() => null);
  if (there !== null && there !== ours)
    throw refuse("it is there and holds commits that are not the job's; rename or delete it first.");
  if ((await store.user(["worktree", "list", "--porcelain"])).toString().split("\n").includes(`branch ${ref}`))
    throw refuse("it is checked out; switch to another branch first.");
  const pack = join(store.folder, `pack.${scratchID}`);
  try {
    await store.toFile(["pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset"], pack, {
      input: Buffer.from(await wanted(store, tip, there)),
      env: jobObjectsEnv(store, jobID),
      maxBytes: Number.POSITIVE_INFINITY,
      isUntrusted: true,
    });
    await store.user(["index-pack", "--stdin", "--strict"], { inputFile: pack, isUntrusted: true });
  } finally {
    await rm(pack, { force: true });
  }
  await writeFile(record, tip, { mode: 0o600 }); // first: a branch that is there is then known for ours
  const none = "0".repeat(tip.length);
  await store.user(["update-ref", "-m", `agents_collect: ${jobID}`, ref, tip, there ?? none]);
  return branch;
}

/** Holds the commit the job's branch was left at: one at another is no longer only ours to move. */
const recordOf = ({ folder }: Pick<ProjectStore, "folder">, jobID: string): string =>
  join(folder, `branch.${jobID.replace(/\W/g, "_")}`);

/** The branch stays, and is the user's from then on. */
export const forgetBranch = (store: Pick<ProjectStore, "folder">, jobID: string): Promise<void> =>
  rm(recordOf(store, jobID), { force: true });

/** All that the tip needs and the user's repository lacks: what his commit reaches is there. */
async function wanted(store: ProjectStore, tip: string, there: string | null): Promise<string> {
  const head = (await store.user(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]).catch(() => null))
    ?.toString()
    .trim();
  return [tip, ...(head ? [`^${head}`] : []), ...(there ? [`^${there}`] : []), ""].join("\n");
}
