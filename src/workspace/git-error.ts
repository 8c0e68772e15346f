/** A failed run of git. `code` is null when git was killed or could not be started. */
export class GitError extends Error {
  override readonly name = "GitError";
  readonly code: number | null;

  /** @param said what git wrote to its error output, or why it was stopped */
  constructor(args: readonly string[], code: number | null, said: string) {
    const words = said
      .replace(/^(fatal|error): /gm, "")
      .trim()
      .slice(0, 500);
    const end = `git ${commandOf(args)} ${code === null ? "was stopped" : `exited with ${code}`}${words && `: ${words}`}`;
    const meaning = explain(words);
    super(meaning === null ? end : `${meaning} (${end})`);
    this.code = code;
  }
}

/** The command among git's arguments: the first that is no option, nor the value of one. */
const commandOf = (args: readonly string[]): string =>
  args.find((arg, n) => !arg.startsWith("-") && args[n - 1] !== "-c" && args[n - 1] !== "-C") ?? "";

/** What git's words mean to somebody who has not called git himself, and what he can do. The first that matches counts. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/git is not installed/, "git is needed to take a project's files; install it"],
  [
    /dubious ownership/,
    "the repository belongs to another user, so git refuses to read it; if you trust it, run the git config command that follows, and try again",
  ],
  [
    /transport '.*' not allowed|promisor remote|unable to read|bad (tree )?object|[Cc]ould not read [0-9a-f]{40}|missing (blob|tree|commit)|unable to find|did not receive expected object|invalid object/,
    "the repository lacks an object that this needs; a shallow or partial clone has only some of them, and nothing is fetched here on its own. Fetch what is missing (git fetch --refetch, or git fetch --unshallow), or look for damage with git fsck",
  ],
  [
    /index file (corrupt|smaller than expected)|bad (index file|signature)|index uses/,
    "the repository's index is damaged, or written by a newer git; git status says more. It can be made anew: remove .git/index and run git reset",
  ],
  [
    /unknown (repository extension|ref storage)|Expected git repo version|unknown object format|unsupported reference storage/,
    "the repository is stored in a format that this git is too old to read; install a newer git",
  ],
  [
    /bad (\w+ )?config|bogus (count|format) in|missing config/,
    "git's settings have a mistake; correct it, and try again",
  ],
  [
    /reference broken/,
    "the file of a reference is empty or damaged, as after a crash; remove the file of that name in .git, and try again",
  ],
  [
    /\.lock'?: File exists/,
    "another git is at work in the repository, or one was killed and left its lock; try again, or remove the lock file that is named",
  ],
  [/No space left|quota exceeded/i, "the disk is full; make room, and try again"],
  [/Read-only file system/, "the repository cannot be written to, because its file system is read-only"],
  [
    /[Pp]ermission denied|insufficient permission/,
    "your user has no permission for a file of the repository; look at its owner and mode",
  ],
  [
    /^not a git repository: /m,
    "its .git leads to a repository that is not there; git worktree repair or git submodule update --init may mend it",
  ],
  [/it took longer than/, "git needed too long; the disk may be slow or the project very large"],
];

const explain = (words: string): string | null => MEANINGS.find(([pattern]) => pattern.test(words))?.[1] ?? null;
