import { PluginError } from "../../shared/error-code.ts";
import { nameList } from "../../shared/plain-text.ts";
import { createInside, gitFolders } from "../git-folders.ts";
import { isSafePath, toText } from "../paths.ts";
import type { TreeBase } from "../project/capture-tree.ts";
import { hiddenAmong } from "../project/hidden-changes.ts";
import { type Identity, identityEnv } from "../project/identity.ts";
import type { ProjectStore } from "../project/project-store.ts";
import { changesEnv, type JobChanges } from "../project/stored-changes.ts";
import { type Difference, parseDifferences, parseTree, type TreeEntry, writeTree } from "../project/tree-entries.ts";
import { cleanMessage } from "./commit-message.ts";
import { createConverter } from "./convert-entries.ts";
import { describeElsewhere } from "./describe-elsewhere.ts";
import { type AutoLoadedFile, findAutoLoadedChanges } from "./find-auto-loaded.ts";
import { createGitFileCheck } from "./git-own-files.ts";
import type { LeftOut } from "./select-files.ts";

export interface BuiltCommit {
  readonly id: string;
  readonly subject: string;
}

/** A job's changes as commits that continue the user's history. They are in our own store, not in his repository. */
export interface BuiltCommits {
  /** The commit of the tree that the job started from; null in a project without git. */
  readonly base: string | null;
  /** The user's commit that `base` is or continues; null without one. */
  readonly head: string | null;
  readonly tip: string;
  /** The job's own commits, oldest first. */
  readonly commits: readonly BuiltCommit[];
  readonly baseTree: string;
  readonly tree: string;
  /** Environment in which git finds all of their objects. */
  readonly env: Readonly<Record<string, string>>;
  /** Paths that differ between `baseTree` and `tree`, one character per byte. */
  readonly changed: readonly string[];
  /** What the job made and the commits lack. */
  readonly leftOut: readonly LeftOut[];
  /** Changed files that programs or models load on their own once they are in the project. */
  readonly attention: readonly AutoLoadedFile[];
  /** What else they lack, in words. */
  readonly notes: readonly string[];
  /** What else there is to know about them, one sentence each. */
  readonly remarks: readonly string[];
}

export interface BuildRequest {
  readonly store: ProjectStore;
  readonly base: TreeBase;
  readonly changes: JobChanges;
  readonly jobID: string;
  /** Names the scratch files of this call. */
  readonly scratchID: string;
  readonly identity: Identity;
}

const FILE_MODES = new Set(["100644", "100755", "120000"]);

/**
 * Applies a job's changes to the tree that it started from. Each commit is built anew from the differences between the
 * job's commit and the base, so that only file contents are taken from the job's own objects.
 * @throws GitError
 */
export async function buildCommits(request: BuildRequest): Promise<BuiltCommits> {
  const { store, base, changes, jobID, scratchID, identity } = request;
  const env = changesEnv(store, jobID, changes);
  const run = async (...args: string[]) => (await store.run(args, { env, isUntrusted: true })).toString("utf8").trim();
  const leftOut = new Map<string, string>();
  let claims = 0;
  const isThere = (oid: string) =>
    run("cat-file", "-e", oid).then(
      () => true,
      () => false,
    );
  if (!(await isThere(base.tree))) throw startIsGone(jobID);
  const head = base.head !== null && (await isThere(base.head)) ? base.head : null;
  const start = parseTree(await store.run(["ls-tree", "-r", "-z", "--full-tree", base.tree], { env }));
  const first = await commitStart();
  const converter = await createConverter({ store, base, start, env, scratchID });
  const checkGitFiles = createGitFileCheck(store, env, start);
  let [tip, tree] = [first, base.tree];
  let changed: readonly string[] = [];
  let last: ReadonlyMap<string, TreeEntry> = start;
  let droppedModes: readonly string[] = [];
  const commits: BuiltCommit[] = [];
  let refused: ReadonlyMap<string, string> = new Map();
  try {
    for (const commit of changes.commits) await addCommit(commit);
  } finally {
    await converter.close();
  }
  for (const [path, why] of refused) leftOut.set(path, why);
  const isLeftOut = createInside([...leftOut.keys(), ...changes.unborn].map((path) => path.replace(/\/$/, "")));
  for (const [path, why] of uncommitted(changes, base, start)) if (!isLeftOut(path)) leftOut.set(path, why);
  for (const { path, why } of describeElsewhere(changes.elsewhere)) leftOut.set(path, why);
  for (const path of changes.unborn) leftOut.set(path, OWN_REPOSITORY);
  return {
    base: store.isRepository ? first : null,
    head,
    tip,
    commits,
    baseTree: base.tree,
    tree,
    env,
    changed,
    leftOut: [...leftOut].map(([path, why]) => ({ path, why, bytes: null })),
    attention: await findAutoLoadedChanges({ store, env, before: start, after: last, changed }),
    notes: [
      ...(claims > 0 ? [`lines of its commit messages that spoke for somebody (sign-offs, reviews): ${claims}`] : []),
      ...(changes.squashed > 0
        ? [`its ${changes.squashed} single commits, which are too many: they are one here`]
        : []),
      ...(changes.unlisted > 0 ? [`${changes.unlisted} more files and folders than are listed as left out`] : []),
    ],
    remarks: [
      ...(head === base.head ? [] : [HEAD_IS_GONE]),
      ...remarksOn(droppedModes, await hiddenAmong(store, base.commit, changed)),
    ],
  };

  async function addCommit(commit: string): Promise<void> {
    const differs = ["diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", changes.base, commit];
    const known = parseDifferences(await store.run(differs, { env, isUntrusted: true })).filter(isKnown);
    const harmful = await checkGitFiles(known);
    for (const [path, why] of harmful) leftOut.set(path, why);
    const differences = known.filter(({ path }) => !harmful.has(path));
    const made = applyDifferences(start, differences, base, leftOut);
    const touched = differences.map(({ path }) => path).filter((path) => made.get(path) !== start.get(path));
    const converted = await converter.convert(made, touched);
    const { entries } = converted;
    refused = converted.refused;
    droppedModes = differences
      .filter(({ path, entry, hadMode }) => entry && entry.mode !== hadMode && isOtherMode(entry, entries.get(path)))
      .map(({ path }) => path);
    const next = await writeTree(store, entries, `build.${scratchID}`, env);
    if (next === tree) return;
    const [seconds = "0"] = (await run("show", "--no-patch", "--format=%at", commit)).split("\n");
    const message = cleanMessage(await run("show", "--no-patch", "--format=%B", commit), identity);
    claims += message.claims;
    tip = await commitTree(next, tip, message.text, `${Math.max(0, Number(seconds) || 0)} +0000`);
    [tree, last] = [next, entries];
    changed = touched.filter((path) => !isSameEntry(entries.get(path), start.get(path)));
    commits.push({ id: tip, subject: message.text.split("\n")[0] ?? "" });
  }

  /** A file that could not be read, or was too large to be added, only seems to have been removed. */
  function isKnown({ path, entry }: Difference): boolean {
    return (
      entry !== null ||
      ![...changes.unread, ...changes.unborn, ...changes.leftOut].some(
        (one) => path === one || path.startsWith(`${one}/`),
      )
    );
  }

  /** The user's commit, or one on top of it that holds what he had not committed. */
  async function commitStart(): Promise<string> {
    if (head !== null && (await run("rev-parse", `${head}^{tree}`)) === base.tree) return head;
    const date = head === null ? "1000000000 +0000" : await run("show", "--no-patch", "--format=%ct +0000", head);
    return commitTree(base.tree, head, `The working tree ${jobID} started from`, date);
  }

  async function commitTree(of: string, parent: string | null, message: string, date: string): Promise<string> {
    const args = ["commit-tree", of, ...(parent === null ? [] : ["-p", parent])];
    const input = Buffer.from(`${message}\n\nJob: ${jobID}\n`);
    return (await store.run(args, { env: { ...env, ...identityEnv(identity, date) }, input })).toString().trim();
  }
}

const remarksOn = (droppedModes: readonly string[], hidden: readonly string[]): string[] => [
  ...(droppedModes.length === 0
    ? []
    : [
        `Its changes to executable bits are not in it, as core.fileMode is off in your repository: ${nameList(droppedModes.map(toText))}.`,
      ]),
  ...(hidden.length === 0
    ? []
    : [
        `It changes files in which the user hides changes of his own from git (skip-worktree, assume-unchanged), and git neither merges nor applies anything over those; make the job's changes to them by hand: ${nameList(hidden.map(toText))}.`,
      ]),
];

/** What the job made and no commit can hold, with the reason. */
function uncommitted(changes: JobChanges, base: TreeBase, start: ReadonlyMap<string, TreeEntry>): [string, string][] {
  const named = (paths: readonly string[], why: string) => paths.map((path): [string, string] => [path, why]);
  const short = (path: string) => (path.length > SHOWN_OF_PATH ? `${path.slice(0, SHOWN_OF_PATH)}...` : path);
  // A folder that the job has emptied is told by the files it removed.
  const former = new Set(base.emptyFolders);
  for (const path of start.keys())
    for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) former.add(path.slice(0, end));
  return [
    ...named(changes.ignored, 'git ignores it; take it with mode "files" and paths'),
    ...named(changes.special, "it is a pipe, socket or device"),
    ...named(
      changes.emptyFolders.filter((path) => !former.has(path)),
      "it is an empty folder, which git cannot hold",
    ),
    ...named(changes.leftOut, 'it is too large for a commit; take it with mode "files" and paths'),
    ...named(changes.unread.map(short), UNREADABLE),
  ];
}

const UNREADABLE = "it could not be read: the job itself has no permission, or paths below it are too long";
const BARE_REPOSITORY = "the job made it a repository, whose settings can make git run programs";
const OWN_REPOSITORY = "the job made it a repository of its own";
/** Characters shown of a longer path. */
const SHOWN_OF_PATH = 1_000;

const isSameEntry = (a: TreeEntry | undefined, b: TreeEntry | undefined): boolean =>
  a?.oid === b?.oid && a?.mode === b?.mode;

/** Whether a file is executable in one of the two and not in the other. */
const isOtherMode = (a: TreeEntry, b: TreeEntry | undefined): boolean =>
  a.mode.startsWith("100") && b?.mode.startsWith("100") === true && a.mode !== b.mode;

function applyDifferences(
  start: ReadonlyMap<string, TreeEntry>,
  differences: readonly Difference[],
  { nested, withheld }: TreeBase,
  leftOut: Map<string, string>,
): Map<string, TreeEntry> {
  const entries = new Map(start);
  const repositories = gitFolders(differences.flatMap(({ path, entry }) => (entry === null ? [] : [path])));
  const isInRepository = createInside(repositories);
  const isWithheld = createInside(withheld);
  for (const path of repositories) leftOut.set(path, BARE_REPOSITORY);
  for (const { path, entry } of differences) {
    if (isInRepository(path)) continue;
    const root = nested.find((one) => path.startsWith(one) || `${path}/` === one);
    if (root) leftOut.set(root, 'it is a repository of its own; take what changed in it with mode "files" and paths');
    else if (isWithheld(path) || (entry !== null && withheld.some((one) => one.startsWith(`${path}/`))))
      leftOut.set(path, 'something of yours is there that the job did not get; take it with mode "files" and paths');
    else if (!isSafePath(path)) leftOut.set(path, "some file system takes its name for another place");
    else if (entry === null) entries.delete(path);
    else if (FILE_MODES.has(entry.mode)) entries.set(path, entry);
    else leftOut.set(path, OWN_REPOSITORY);
  }
  return entries;
}

const HEAD_IS_GONE =
  "The commit that it started from is not in the repository any more, so its branch has no history before the job's own commits.";

/** After an amend or a rebase git removes the former commits some weeks later, and a new clone never had those that were not pushed. */
const startIsGone = (jobID: string) =>
  new PluginError(
    "collect_failed",
    `The changes of ${jobID} cannot be told: the commit that it started from is not in the repository any more, because it was rewritten or never pushed. Its files are not affected: take them with mode "files" and paths.`,
    { retryable: false },
  );
