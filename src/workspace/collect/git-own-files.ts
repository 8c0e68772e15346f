import { GitError } from "../git-error.ts";
import { splitRecords } from "../paths.ts";
import type { ProjectStore } from "../project/project-store.ts";
import type { Difference, TreeEntry } from "../project/tree-entries.ts";
import { normalizeName } from "./auto-loaded-files.ts";

/*
 * The files that git itself reads among a project's: what a job makes of them must not break the user's repository. A
 * `.gitmodules` that names other submodules is of no use without them, as a job's repositories come as files or not at all.
 */

/** Also by the short names that NTFS gives them. */
const NAMES = /^(\.git(modules|attributes)|(gitmod|gitatt|gi7eba|gi7d29)~\d+)$/;

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Decides which of the changed files of git's own are left out, and why. Asks about each version once. */
export function createGitFileCheck(
  store: ProjectStore,
  env: Readonly<Record<string, string>>,
  start: ReadonlyMap<string, TreeEntry>,
) {
  const refusals = new Map<string, Promise<string | null>>();
  const run = (args: readonly string[], input: string | Buffer = "") =>
    store.run(args, { env, isUntrusted: true, input: Buffer.from(input) });

  /** Has git check the file as it checks whatever enters a repository. */
  async function refusalOf(name: string, oid: string): Promise<string | null> {
    const tree = (await run(["mktree", "-z"], Buffer.from(`100644 blob ${oid}\t${name}\0`, "latin1")))
      .toString()
      .trim();
    const pack = await run(["pack-objects", "--stdout", "--quiet"], `${tree}\n${oid}\n`);
    try {
      await run(["index-pack", "--stdin", "--strict"], pack);
      return null;
    } catch (error) {
      if (!(error instanceof GitError) || error.code === null) throw error;
      const [, why = "its content"] = /git(?:modules|attributes)\w+: ([^\n]{1,200})/.exec(error.message) ?? [];
      return `git refuses it (${why}); take it with mode "files" and paths`;
    }
  }

  async function submodulesIn(entry: TreeEntry | null | undefined): Promise<string | null> {
    if (!entry) return "";
    const list = ["config", `--blob=${entry.oid}`, "-z", "--get-regexp", "^submodule\\..*\\.path$"];
    const found = await run(list).catch((error: unknown) => {
      if (error instanceof GitError && error.code === 1) return Buffer.alloc(0);
      if (error instanceof GitError && error.code !== null) return null;
      throw error;
    });
    return found && splitRecords(found).sort().join("\0");
  }

  /** Reasons by path. */
  return async (differences: readonly Difference[]): Promise<ReadonlyMap<string, string>> => {
    const found = new Map<string, string>();
    for (const { path, entry } of differences) {
      if (!NAMES.test(normalizeName(nameOf(path)))) continue;
      if (path === ".gitmodules" && (await submodulesIn(entry)) !== (await submodulesIn(start.get(path))))
        found.set(path, "submodules are added and removed by their user alone; do that with git submodule, or git rm");
      else if (entry?.mode.startsWith("100")) {
        const key = `${nameOf(path)}\0${entry.oid}`;
        if (!refusals.has(key)) refusals.set(key, refusalOf(nameOf(path), entry.oid));
        const why = await refusals.get(key);
        if (why) found.set(path, why);
      }
    }
    return found;
  };
}
