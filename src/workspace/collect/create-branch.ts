import { appendFile, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { PluginError } from "../../shared/error-code.ts";
import { nullIfMissing } from "../../shared/missing-file.ts";
import { type ProjectStore, resolveRevision } from "../project/project-store.ts";
import type { BuiltCommits } from "./build-commits.ts";

/** How often another collect of the same job may be first. */
const TRIES = 5;

/**
 * Creates or moves the branch `agents/<job id>`; the only place that writes to the user's repository. It writes objects
 * and this one reference; the working tree, index and HEAD are left alone, and no hook runs.
 * @param scratchID names the scratch file of this call
 * @returns the branch's name
 * @throws PluginError `collect_failed`, GitError
 */
export async function createBranch(
  store: ProjectStore,
  jobID: string,
  { base, tip, env }: BuiltCommits,
  scratchID: string,
): Promise<string> {
  const branch = `agents/${jobID}`;
  const refuse = (why: string) =>
    new PluginError("collect_failed", `Could not create the branch ${branch}: ${why}`, { retryable: false });
  if (!store.isRepository || base === null)
    throw refuse(`${store.root} is not a git repository; use mode "patch" or "files".`);
  const ref = `refs/heads/${branch}`;
  for (let attempt = 1; ; attempt++) {
    const current = await resolveRevision(store, ref);
    if (current === tip) return branch;
    if (current !== null && !(await isOurs(store, jobID, current)))
      throw refuse("it exists and holds commits that are not the job's; rename or delete it first.");
    if ((await store.user(["worktree", "list", "--porcelain"])).toString().split("\n").includes(`branch ${ref}`))
      throw refuse("it is checked out in a working tree; switch to another branch first.");
    if (attempt === 1) await copyObjects(current);
    await appendFile(recordOf(store, jobID), `${tip}\n`, { mode: 0o600 }); // before the branch exists, so that it is recognised as ours after a crash
    try {
      const none = "0".repeat(tip.length);
      await store.user(["update-ref", "-m", `agents_collect: ${jobID}`, ref, tip, current ?? none]);
      return branch;
    } catch (error) {
      // The same job may be collected twice at once, also by two processes.
      if (attempt === TRIES || (await resolveRevision(store, ref)) === current) throw error;
    }
  }

  async function copyObjects(current: string | null): Promise<void> {
    const pack = join(store.folder, `pack.${scratchID}`);
    try {
      await store.toFile(["pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset"], pack, {
        input: Buffer.from(await missingObjects(store, tip, current)),
        env,
        maxBytes: Number.POSITIVE_INFINITY,
        isUntrusted: true,
      });
      await store.user(["index-pack", "--stdin", "--strict"], { inputFile: pack, isUntrusted: true });
    } finally {
      await rm(pack, { force: true });
    }
  }
}

/** File with the commits that we have left the job's branch at. A branch at another commit has been changed by someone else. */
const recordOf = ({ folder }: Pick<ProjectStore, "folder">, jobID: string): string =>
  join(folder, `branch.${jobID.replace(/\W/g, "_")}`);

async function isOurs(store: ProjectStore, jobID: string, commit: string): Promise<boolean> {
  const recorded = (await nullIfMissing(readFile(recordOf(store, jobID), "utf8"))) ?? "";
  // Former versions wrote one commit, without a line's end.
  return recorded.split(/\s/).some((line) => line.endsWith(commit));
}

/** Forgets that a branch is ours; the branch itself stays and is the user's from then on. */
export const forgetBranch = (store: Pick<ProjectStore, "folder">, jobID: string): Promise<void> =>
  rm(recordOf(store, jobID), { force: true });

/** Revisions for `git pack-objects`: everything that the tip needs and the user's HEAD and the branch do not reach. */
async function missingObjects(store: ProjectStore, tip: string, current: string | null): Promise<string> {
  const head = await resolveRevision(store, "HEAD^{commit}");
  return [tip, ...(head ? [`^${head}`] : []), ...(current ? [`^${current}`] : []), ""].join("\n");
}
