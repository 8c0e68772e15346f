import { appendFile, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { nullIfMissing } from "../../shared/missing-file.ts";
import { nullIfNotFound } from "../git.ts";
import { type ProjectStore, resolveRevision } from "../project/project-store.ts";
import { branchRefusal, decideBranchName } from "./branch-name.ts";
import type { BuiltCommits } from "./build-commits.ts";

/** How often another collect of the same job may be first. */
const TRIES = 5;

/**
 * Creates or moves the branch `agents/<job id>`, or `agents-<job id>` where the user's branches leave no place for the
 * former; the only place that writes to the user's repository. It writes objects and this one reference; the working tree,
 * index and HEAD are left alone, and no hook runs.
 * @param scratchID names the scratch file of this call
 * @returns the branch's name; null = the job changed nothing, so there is no branch
 * @throws PluginError `collect_failed`, GitError
 */
export async function createBranch(
  store: ProjectStore,
  jobID: string,
  { base, head, tip, env }: Pick<BuiltCommits, "base" | "head" | "tip" | "env">,
  scratchID: string,
): Promise<string | null> {
  if (!store.isRepository || base === null)
    throw branchRefusal(
      `agents/${jobID}`,
      `${store.root} is not a working tree of a git repository; use mode "patch" or "files".`,
    );
  const branch = await decideBranchName(store, jobID);
  const refuse = (why: string) => branchRefusal(branch, why);
  const ref = `refs/heads/${branch}`;
  for (let attempt = 1; ; attempt++) {
    const current = await resolveRevision(store, ref);
    if (current === tip) return branch;
    if (current === null && tip === base) return null;
    if (current !== null && !(await isOurs(store, jobID, current)))
      throw refuse("it exists and holds commits that are not the job's; rename or delete it first.");
    const use = await useOf(store, ref);
    if (use !== null) throw refuse(use);
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
    const isPartial = await isPartialClone(store);
    try {
      const missing = isPartial ? ["--missing=allow-any"] : [];
      await store.toFile(["pack-objects", "--revs", "--stdout", "--quiet", "--delta-base-offset", ...missing], pack, {
        input: Buffer.from(await missingObjects(store, tip, [head, current])),
        env,
        maxBytes: Number.POSITIVE_INFINITY,
        isUntrusted: true,
      });
      // The trees of a partial clone lead to objects that it lacks, for which --strict would refuse them.
      const check = isPartial ? "--fsck-objects" : "--strict";
      await store.user(["index-pack", "--stdin", check], { inputFile: pack, isUntrusted: true });
    } finally {
      await rm(pack, { force: true });
    }
  }
}

/** Files in which git keeps the branches that it moves, or returns to, when what it is doing ends. */
const UNDER_WAY = ["rebase-merge/head-name", "rebase-merge/update-refs", "rebase-apply/head-name", "BISECT_START"];

/** Why a branch must not be moved now: a working tree has it checked out, or a rebase or bisect of one will come back to it. */
async function useOf(store: ProjectStore, ref: string): Promise<string | null> {
  const trees = (await store.user(["worktree", "list", "--porcelain"])).toString().split("\n\n");
  const lines = trees.map((tree) => tree.split("\n")).find((tree) => tree.includes(`branch ${ref}`));
  if (lines?.some((line) => line.startsWith("prunable")))
    return `it is checked out in the working tree ${lines[0]?.replace("worktree ", "")}, which is not there any more; run git worktree prune first.`;
  if (lines) return "it is checked out in a working tree; switch to another branch first.";
  const path = await store.user(["rev-parse", "--path-format=absolute", "--git-common-dir"]);
  const common = path.toString("utf8").replace(/\n$/, "");
  const names = (await nullIfMissing(readdir(join(common, "worktrees")))) ?? [];
  for (const folder of [common, ...names.map((name) => join(common, "worktrees", name))])
    for (const file of UNDER_WAY) {
      const text = (await nullIfMissing(readFile(join(folder, file), "utf8"))) ?? "";
      if (text.split("\n").some((line) => line === ref || `refs/heads/${line}` === ref))
        return "a rebase or bisect of it is under way; finish or abort that first.";
    }
  return null;
}

/** Whether the user's repository may lack objects, which git would fetch when it needs them. */
const isPartialClone = async (store: ProjectStore): Promise<boolean> =>
  (await nullIfNotFound(
    store.user(["config", "--name-only", "--get-regexp", "^(extensions\\.partialclone|remote\\..*\\.promisor)$"]),
  )) !== null;

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

/** Revisions for `git pack-objects`: everything that the tip needs and none of the commits that the user has already reach. */
async function missingObjects(store: ProjectStore, tip: string, known: readonly (string | null)[]): Promise<string> {
  const head = await resolveRevision(store, "HEAD^{commit}");
  return [tip, ...[...known, head].flatMap((one) => (one === null ? [] : [`^${one}`])), ""].join("\n");
}
