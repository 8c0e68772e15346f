import type { Elsewhere } from "../project/stored-changes.ts";
import type { LeftOut } from "./select-files.ts";

const MERGE = "ask the job with agents_message to merge it into what it has checked out, then collect again";
const lacking = (what: string, count: number): string =>
  `${what} with ${count} commit${count === 1 ? " that is" : "s that are"} not in what the job has checked out; to have it, ${MERGE}`;

/** What is left out, by the name that git has for it, and why. */
const WORDS: Readonly<Record<string, (count: number, name: string) => [path: string, why: string]>> = {
  branch: (count: number, name: string) => [`refs/heads/${name}`, lacking("a branch", count)],
  tag: (count: number, name: string) => [`refs/tags/${name}`, lacking("a tag", count)],
  reference: (count: number, name: string) => [name, lacking("a reference", count)],
  commit: (count: number, name: string) => [
    name.slice(0, 12),
    lacking("the end of a history without a branch,", count),
  ],
  stash: (count: number) => [
    "refs/stash",
    `a stash with ${count} set${count === 1 ? "" : "s"} of changes that the job put aside; to have them, ask it with agents_message to apply them, then collect again`,
  ],
  state: (_: number, name: string) => [
    "HEAD",
    `a ${/^[a-z-]{1,20}$/.test(name) ? name : "command of git"} is under way, so the files are as it has them now; ask the job with agents_message to finish or abort it, then collect again`,
  ],
  conflict: (_: number, name: string) => [name, "its conflict is not resolved: it is taken with the conflict markers"],
  index: (_: number, name: string) => [
    name,
    "the job changed it in git's index alone (git add, git rm --cached); it is taken as the file is",
  ],
  worktree: (count: number, name: string) => [
    name,
    `a working tree in which ${count} file${count === 1 ? " is" : "s are"} changed and not committed; to have them, ask the job with agents_message to commit them there and to merge that, then collect again`,
  ],
  orphan: (_: number, name: string) => [
    name === "HEAD" ? name : `refs/heads/${name}`,
    'the job has this branch checked out, but neither its history nor its files come from the project, so they are no changes to it; take its files with mode "files" and paths',
  ],
  history: () => [
    ".git",
    "its commits: the job removed, moved or remade it, or git finds fault with it, so all changes are one commit",
  ],
  repository: (_: number, name: string) => [
    name,
    "the job made it a repository of its own: its files are taken, its history is not",
  ],
  copy: (_: number, name: string) => [
    name,
    `it is a further working tree of a repository; to have what was done in it, ask the job with agents_message to commit it there and to merge that, then collect again`,
  ],
  unborn: (_: number, name: string) => [name, "the job made it a repository of its own"],
};

/** Work that a job left where its files are not, as what was left out, with the way to have it. */
export const describeElsewhere = (elsewhere: readonly Elsewhere[]): LeftOut[] =>
  elsewhere.flatMap(({ kind, count, name }) => {
    const describe = Object.hasOwn(WORDS, kind) ? WORDS[kind] : undefined;
    if (!describe) return []; // a later version may know more
    const [path, why] = describe(count, name);
    return [{ path, why, bytes: null }];
  });
