import { readFile, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Git } from "../git.ts";
import { GitError } from "../git-error.ts";
import { fileNameFor } from "../paths.ts";
import { findProject } from "./find-project.ts";
import { readHomes, realPathOrSelf } from "./home-folders.ts";

/**
 * Names the project that a folder belongs to, for what its sessions share: the same for every folder of a clone and for
 * its linked worktrees, and safe as a file name. Without a repository the folder itself is the project, named by where its
 * repository would be, so that it stays the same one when git is set up in it, is removed, or cannot be asked.
 * @param directory absolute
 * @param isKnown whether there is anything of a project: earlier versions named a folder without a repository by itself
 */
export async function projectID(
  git: Git,
  directory: string,
  isKnown: (project: string) => boolean = () => false,
): Promise<string> {
  const root = await rootOf(git, directory);
  const folder = await realPathOrSelf(root ?? directory);
  const repository = (root === null ? null : await commonFolder(git, root)) ?? join(folder, ".git");
  const [name, former] = [fileNameFor(repository), fileNameFor(dirname(repository))];
  return basename(repository) === ".git" && !isKnown(name) && isKnown(former) ? former : name;
}

/** The top of the repository around a folder; null = there is none whose files these are, or git cannot read it. */
async function rootOf(git: Git, directory: string): Promise<string | null> {
  try {
    const found = await findProject(git, directory, await readHomes());
    return found.kind === "project" && found.isRepository ? found.root : null;
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }
}

/**
 * The folder of git that all worktrees of a clone have in common. A `.git` that leads to another project's repository
 * does not count unless that repository knows this worktree: a folder that somebody sent could name any path, and would
 * then share what the sessions of that project have.
 */
async function commonFolder(git: Git, root: string): Promise<string | null> {
  const ask = async (question: string) =>
    (await git.read({ args: ["rev-parse", "--path-format=absolute", question], cwd: root, config: "user" }))
      .toString("utf8")
      .replace(/\n$/, "");
  try {
    const own = join(await realpath(root), ".git");
    const common = await realpath(await ask("--git-common-dir"));
    if (common === own) return common;
    const gitDir = await realpath(await ask("--git-dir"));
    const worktree = (await readFile(join(gitDir, "gitdir"), "utf8")).replace(/\n$/, "");
    const isKnown = dirname(gitDir) === join(common, "worktrees") && (await placeOf(worktree)) === own;
    return isKnown ? common : null;
  } catch {
    return null; // a submodule, a repository kept elsewhere, or a git that is too old for the question
  }
}

/** Where a file `.git` lies, with the links of the folders above it resolved. */
const placeOf = async (path: string): Promise<string> => join(await realpath(dirname(path)), ".git");
