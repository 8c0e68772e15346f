import { join, relative, sep } from "node:path";
import { isWithin } from "../../config/host-paths.ts";
import { lstatOrNull } from "../../shared/missing-file.ts";
import type { Git } from "../git.ts";
import { GitError } from "../git-error.ts";
import { fromText } from "../paths.ts";
import { ignoredNames } from "./git-ignored.ts";
import { type Homes, isHome, realPathOrSelf } from "./home-folders.ts";

/** The folder of the host that jobs get their files from. */
export type FoundProject =
  | {
      readonly kind: "project";
      /** Absolute: the top of the user's repository, or the plain folder. */
      readonly root: string;
      readonly isRepository: boolean;
      /** What the user should know about the choice. */
      readonly notes: readonly string[];
    }
  /** There is none; `why` is a sentence. */
  | { readonly kind: "none"; readonly why: string };

/**
 * The repository that contains a folder, or else the folder itself. A home directory or the whole machine is never the
 * project, not even if it is a repository, as for people who keep their settings in git; a folder below such a repository
 * is a project of its own, and so is a folder that its repository ignores. A repository that declares its files to lie
 * elsewhere is ignored as well.
 * @param directory absolute; somewhere in the project
 * @throws GitError
 */
export async function findProject(git: Git, directory: string, homes: Homes): Promise<FoundProject> {
  const repository = await findRepository(git, directory);
  if (repository.kind === "inside-git") return none("OpenCode is open among git's own files");
  if (repository.kind === "ignored") return plainFolder(directory, repository.why, homes);
  const { top } = repository;
  if (await isIgnored(git, directory, top)) return plainFolder(directory, IGNORED, homes);
  if (!isHome(await realPathOrSelf(top), homes)) return { kind: "project", root: top, isRepository: true, notes: [] };
  return plainFolder(directory, "that repository is a whole home directory", homes);
}

/** @param why why its repository is ignored; null = there is none */
async function plainFolder(directory: string, why: string | null, homes: Homes): Promise<FoundProject> {
  const real = await realPathOrSelf(directory);
  if (isHome(real, homes)) return none("OpenCode is open in a home directory, or above one");
  if (isSettings(real, homes)) return none("OpenCode is open among the settings and keys of a home");
  const note = `The folder itself is the project, and the git repository around it is ignored: ${why}.`;
  return { kind: "project", root: directory, isRepository: false, notes: why === null ? [] : [note] };
}

const none = (why: string): FoundProject => ({
  kind: "none",
  why: `The work directory started empty because ${why}. To give jobs files, open a folder that holds only those files.`,
});

/** Whether a folder without a repository of its own belongs to a home's settings: `~/.ssh`, `~/.config/gh`, `~/.local/share`. */
const isSettings = (real: string, { own, others }: Homes): boolean =>
  [...own, ...others].some((home) => home !== sep && real.startsWith(`${home}${sep}.`));

type Repository =
  | { readonly kind: "inside-git" }
  /** There is none, or none that the folder's files belong to. `why` says why it is ignored; null = there is none. */
  | { readonly kind: "ignored"; readonly why: string | null }
  /** `top`: its root. Its files are those around its `.git`. */
  | { readonly kind: "found"; readonly top: string };

async function findRepository(git: Git, directory: string): Promise<Repository> {
  const ask = async (cwd: string, question: string) =>
    (await git.read({ args: ["rev-parse", question], cwd, config: "user" })).toString("utf8").replace(/\n$/, "");
  let gitDir: string;
  try {
    gitDir = await ask(directory, "--absolute-git-dir");
  } catch (error) {
    if (!(error instanceof GitError) || error.code !== 128) throw error;
    if (/cannot use bare repository/.test(error.message)) return { kind: "inside-git" };
    if (!/not a git repository/.test(error.message)) throw error;
    // With a path, git's words name the repository that a file `.git` or an unreadable setting leads to.
    return { kind: "ignored", why: /not a git repository: /.test(error.message) ? LEADS_NOWHERE : null };
  }
  if (isWithin(await realPathOrSelf(directory), await realPathOrSelf(gitDir))) return { kind: "inside-git" };
  // git fails here if core.worktree puts the repository's files elsewhere, so that this folder is not among them.
  const top = await ask(directory, "--show-toplevel").catch(() => "");
  const isOwn =
    top !== "" &&
    isWithin(await realPathOrSelf(directory), top) &&
    (await ask(top, "--absolute-git-dir").catch(() => "")) === gitDir;
  if (isOwn) return { kind: "found", top };
  const isBare = (await ask(directory, "--is-bare-repository").catch(() => "")) === "true";
  if (!isBare) return { kind: "ignored", why: "its files lie elsewhere" };
  const hasIndex = (await lstatOrNull(join(gitDir, "index"))) !== null; // of a working tree; a bare repository has none
  return { kind: "ignored", why: hasIndex ? CALLED_BARE : BARE };
}

/** Whether git ignores all that a folder of a repository holds. */
async function isIgnored(git: Git, directory: string, top: string): Promise<boolean> {
  const below = relative(await realPathOrSelf(top), await realPathOrSelf(directory));
  if (below === "" || below.startsWith("..")) return false;
  const inTop = { cwd: top, config: "user" } as const;
  const ask = (args: readonly string[], input: Uint8Array) => git.read({ ...inTop, args, input });
  const names = await ignoredNames(ask, [`${fromText(below)}/`]).catch(() => []); // of what is behind a link, git does not say
  return names.length > 0 && (await git.read({ ...inTop, args: ["ls-files", "-z", "--", below] })).length === 0;
}

const IGNORED = "git ignores this folder in it, so no file of it would be sent";
const LEADS_NOWHERE = "it is not where the file .git says (git worktree repair may mend it)";
const BARE = "it is a bare one; open OpenCode in one of its working trees to collect changes as branches";
/** Tools that make working trees for agents are known to leave an ordinary repository like this. */
const CALLED_BARE =
  "its setting core.bare says that it has no working tree, though this is one (git config core.bare false mends it; in a linked working tree with extensions.worktreeConfig, git config --worktree core.bare false)";
