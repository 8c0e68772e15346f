import type { Elsewhere } from "../project/stored-changes.ts";
import type { LeftOut } from "./select-files.ts";

const MERGE = "ask the job with agents_message to merge it into what it has checked out, then collect again";
const lacking = (count: number): string =>
  `it has ${count} commit${count === 1 ? "" : "s"} that are not in what the job has checked out; to have it, ${MERGE}`;

/** What is left out, and why. */
const WORDS: Readonly<Record<string, (count: number, name: string) => [path: string, why: string]>> = {
  branch: (count: number, name: string) => [`branch ${name}`, lacking(count)],
  tag: (count: number, name: string) => [`tag ${name}`, lacking(count)],
  reference: (count: number, name: string) => [name, lacking(count)],
  commit: (count: number, name: string) => [`commit ${name.slice(0, 12)}`, `no branch has it, and ${lacking(count)}`],
  stash: (count: number) => [
    "git stash",
    `it holds ${count} set${count === 1 ? "" : "s"} of changes that the job put aside; to have them, ask it with agents_message to apply them, then collect again`,
  ],
  state: (_: number, name: string) => [
    `git ${name}`,
    `it is under way, so the files are as it has them now; ask the job with agents_message to finish or abort it, then collect again`,
  ],
  conflict: (_: number, name: string) => [name, "its conflict is not resolved: it is taken with the conflict markers"],
  index: (_: number, name: string) => [
    name,
    "the job changed it in git's index alone (git add, git rm --cached); it is taken as the file is",
  ],
  worktree: (count: number, name: string) => [
    `working tree ${name}`,
    `${count} file${count === 1 ? " is" : "s are"} changed there and not committed; to have them, ask the job with agents_message to commit them there and to merge that, then collect again`,
  ],
  orphan: (_: number, name: string) => [
    `branch ${name}`,
    'the job has it checked out, but neither its history nor its files come from the project, so they are no changes to it; take its files with mode "files" and paths',
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
