import { join } from "node:path";
import { GitError } from "../git-error.ts";
import { absoluteIn, toText } from "../paths.ts";
import { hashFiles } from "./hash-files.ts";
import { committedVersions } from "./hidden-changes.ts";
import { BASE_IDENTITY, identityEnv } from "./identity.ts";
import { listTree } from "./list-project.ts";
import { type ProjectStore, resolveRevision } from "./project-store.ts";
import { notesOnStandIns } from "./stand-ins.ts";
import { type CaptureLimits, refuseTooLarge } from "./too-large.ts";
import { writeTree } from "./tree-entries.ts";
import { AT_WORK_NOTE, isAtRest, lookAtUserGit } from "./user-git.ts";
import { userView } from "./user-view.ts";

/** A project's files at one moment. It is recorded with each job that starts from it, whose changes are the difference. */
export interface TreeBase {
  /** Absolute root of the project on the host. */
  readonly project: string;
  /** The commit the user had checked out; null without one. */
  readonly head: string | null;
  /** The tree as the user's repository would record it: with converted line ends, Git LFS pointers, and submodules as commits. */
  readonly tree: string;
  /** A commit without a parent that holds the exact bytes; the first commit of the repository in the sandbox. */
  readonly commit: string;
  /** Roots of submodules and nested repositories, each with a trailing slash. */
  readonly nested: readonly string[];
  /** Files and folders that the project has and the sandbox lacks, because they could not or must not be copied. */
  readonly withheld: readonly string[];
  /** Empty folders, which a git tree cannot hold. */
  readonly emptyFolders: readonly string[];
  /** What was left out, in words. */
  readonly notes: readonly string[];
}

export const CAPTURE_LIMITS: CaptureLimits = { bytes: 1024 ** 3, files: 200_000 };

/** Fixed, like the author, so that the same tree always gives the same base commit. */
const BASE_DATE = "1000000000 +0000";

/** How often files are taken while the user's git changes them. */
const TRIES = 3;

/**
 * Captures the working tree as it is now, and once more where the user's git changed it meanwhile. Reads the user's files
 * and repository and writes to neither.
 * @param scratchID names the scratch files of this call
 * @throws PluginError `workspace_failed`, GitError
 */
export async function captureTree(
  store: ProjectStore,
  scratchID: string,
  limits: CaptureLimits = CAPTURE_LIMITS,
): Promise<TreeBase> {
  for (let attempt = 1; ; attempt++) {
    const before = await lookAtUserGit(store);
    const taken = await takeFiles(store, scratchID, limits).catch((error: unknown) => {
      if (error instanceof GitError) return error;
      throw error;
    });
    const isSound = isAtRest(before, await lookAtUserGit(store));
    if (!isSound && attempt < TRIES) continue;
    if (taken instanceof GitError) throw taken;
    return isSound ? taken : { ...taken, notes: [...taken.notes, AT_WORK_NOTE] };
  }
}

async function takeFiles(store: ProjectStore, scratchID: string, limits: CaptureLimits): Promise<TreeBase> {
  const listing = await listTree({
    git: (below, args, input) => gitAt(store, below, args, input),
    filesIn: (below, folder) =>
      store.user(["ls-files", "-z", "--others", "--exclude-standard", "--", toText(folder)], {
        cwd: join(store.root, toText(below)),
        env: { GIT_INDEX_FILE: join(store.folder, "index.none") },
      }),
    absolute: absoluteIn(store.root),
    isPlainFolder: !store.isRepository,
  });
  refuseTooLarge(listing, limits, store);
  const committed = await committedVersions(store, listing, scratchID);
  const exact = await hashFiles(store, listing, `index.${scratchID}`);
  const entries = new Map([...exact.entries, ...committed.entries]);
  const view = await userView(store, listing, entries, scratchID);
  const standIns = await notesOnStandIns(store, listing, entries);
  const tree = committed.entries.size === 0 ? exact.tree : await writeTree(store, entries, `exact.${scratchID}`);
  const head = store.isRepository ? await resolveRevision(store, "HEAD^{commit}") : null;
  return {
    project: store.root,
    head,
    tree: await writeTree(store, view.entries, `view.${scratchID}`),
    commit: await commitBase(store, tree),
    nested: listing.nested,
    withheld: listing.withheld,
    emptyFolders: listing.emptyFolders,
    notes: bounded([...store.notes, ...listing.notes, ...committed.notes, ...view.notes, ...standIns]),
  };
}

/** Notes kept; each job that starts from the tree has them. */
const MAX_NOTES = 30;

const bounded = (notes: readonly string[]): readonly string[] =>
  notes.length <= MAX_NOTES
    ? notes
    : [...notes.slice(0, MAX_NOTES), `and ${notes.length - MAX_NOTES} more notes on the project's files`];

/** Runs git in the user's repository, in a nested one, or with an empty index where the project has no repository. */
function gitAt(store: ProjectStore, below: string, args: readonly string[], input?: Uint8Array): Promise<Buffer> {
  const more = input ? { input } : {};
  if (below !== "") return store.user(args, { cwd: join(store.root, toText(below)), ...more });
  if (store.isRepository) return store.user(args, more);
  return store.onFiles("index.none", args, { ...more, config: "user" }); // the user's global ignore rules apply here too
}

async function commitBase(store: ProjectStore, tree: string): Promise<string> {
  const env = identityEnv(BASE_IDENTITY, BASE_DATE);
  return (await store.run(["commit-tree", "-m", "The project as it was", tree], { env })).toString().trim();
}
