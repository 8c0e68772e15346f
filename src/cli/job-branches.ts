import type { Branch, Branches } from "../report/usage.ts";
import type { Git } from "../workspace/git.ts";
import { GitError } from "../workspace/git-error.ts";

/** Branches that git compares commit by commit; of more only those whose own commits are merged are known to be. */
const MOST_COMPARED = 50;
const ASK_MS = 30_000;

/**
 * The branches of jobs in the repository around a folder, and which of them are merged into what is checked out there.
 * @param directory absolute
 * @returns null where there is no repository, or git cannot read it
 */
export async function readBranches(git: Git, directory: string, jobs: readonly string[]): Promise<Branches | null> {
  const ask = async (...args: string[]) =>
    (await git.read({ args, cwd: directory, config: "user", limitMs: ASK_MS }))
      .toString("utf8")
      .split("\n")
      .filter(Boolean);
  const names = (...more: string[]) =>
    ask("for-each-ref", "--format=%(refname:lstrip=2)", ...more, "refs/heads/agents*", "refs/heads/agents/**");
  try {
    await ask("rev-parse", "--git-dir");
    const all = new Set(await names());
    const found = jobs.flatMap((job) =>
      [`agents/${job}`, `agents-${job}`].filter((name) => all.has(name)).map((name) => ({ job, name })),
    );
    const hasHead = await ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}").catch(() => []);
    const merged = new Set(hasHead.length > 0 && found.length > 0 ? await names("--merged=HEAD") : []);
    const of = new Map<string, Branch>();
    for (const [index, { job, name }] of found.entries()) {
      const isMerged = merged.has(name) || (hasHead.length > 0 && index < MOST_COMPARED && (await isCopied(name)));
      of.set(job, { name, isMerged });
    }
    return { of };
  } catch (error) {
    if (error instanceof GitError) return null;
    throw error;
  }

  /** Whether every commit of the branch has its like in HEAD, as a rebase or a cherry-pick leaves it. */
  async function isCopied(branch: string): Promise<boolean> {
    try {
      const lines = await ask("cherry", "HEAD", `refs/heads/${branch}`);
      return lines.length > 0 && lines.every((line) => line.startsWith("-"));
    } catch {
      return false;
    }
  }
}
