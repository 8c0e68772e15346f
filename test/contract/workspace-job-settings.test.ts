import { describe, expect, test } from "bun:test";
import { truncateSync } from "node:fs";
import { join } from "node:path";
import { bubblewrap } from "../support/sandboxes.ts";
import { git, home, repository, useHome, write } from "./home-support.ts";
import { useJobs } from "./shapes-support.ts";

/* What a job sets in its own repository, and the rules that its project has for git, lose none of its changes. */

useHome();

describe.skipIf(!bubblewrap)("a job's changes come back", () => {
  const { job } = useJobs();

  function project(files: Readonly<Record<string, string>>): void {
    repository("work");
    for (const [path, text] of Object.entries(files)) write(`work/${path}`, text);
    git("work", "add", "--all", "--force");
    git("work", "commit", "--quiet", "-m", "First");
  }

  const raw = (branch: string | null) => git("work", "diff", "--raw", "--no-renames", "main", `${branch}`);
  const changes = (branch: string | null) =>
    raw(branch)
      .split("\n")
      .map((line) => line.replace(/^:(\d+) (\d+) \S+ \S+ (\w)\t/, "$3 $1 $2 "));

  const SETTINGS: readonly (readonly [setting: string, change: string, expected: readonly string[]])[] = [
    ["core.ignoreCase true", "mv a.txt A.txt", ["A 000000 100644 A.txt", "D 100644 000000 a.txt"]],
    ["core.fileMode false", "chmod +x a.txt; echo x > new; chmod +x new", ["M 100644 100755 a.txt", "A 000000 100755 new"]],
    ["core.symlinks false", "ln -sf a.txt b.txt; ln -s a.txt new", ["T 100644 120000 b.txt", "A 000000 120000 new"]],
    ["core.checkStat minimal", "touch -r a.txt /tmp/at; git status -s; git config core.trustctime false; printf 'A\\n' > a.txt; touch -r /tmp/at a.txt", ["M 100644 100644 a.txt"]],
    ["core.ignoreStat true", "git checkout -q .; git update-index --really-refresh; echo A > a.txt", ["M 100644 100644 a.txt"]],
    ["core.sparseCheckout true", "git sparse-checkout set --cone --sparse-index; mkdir -p sub; rm sub/c.txt; git sparse-checkout reapply; mkdir -p sub; echo more > sub/new; echo A > a.txt", ["M 100644 100644 a.txt", "A 000000 100644 sub/new"]],
    ["core.splitIndex true", "git update-index --split-index; echo A > a.txt", ["M 100644 100644 a.txt"]],
  ]; // biome-ignore format: one line each
  for (const [setting, change, expected] of SETTINGS)
    test(`as they are with ${setting}`, async () => {
      project({ "a.txt": "a\n", "b.txt": "b\n", "sub/c.txt": "c\n" });
      const { built, branch } = await job("work", `git config ${setting}; ${change}`);
      expect(built.leftOut).toEqual([]);
      expect(changes(branch)).toEqual([...expected]);
    });

  test("as the files are where the job has replaced one of its commits by another", async () => {
    project({ "a.txt": "a\n" });
    const replace =
      'echo A > a.txt; git commit -qam One; echo B > a.txt; git add .; git replace HEAD $(git commit-tree -p HEAD~1 -m Two "$(git write-tree)")';
    const { branch } = await job("work", replace);
    expect(git("work", "show", `${branch}:a.txt`)).toBe("B");
  });

  test("without large files that git does not track, also where rules list what is not ignored", async () => {
    project({ ".gitignore": "*\n!.gitignore\n!*.txt\n!*.bin\n!sub/\n", "a.txt": "a\n" });
    const large =
      "truncate -s 101M big.bin; mkdir sub; truncate -s 101M sub/' two'.bin; echo A > a.txt; echo b > b.txt";
    const { built, branch } = await job("work", large);
    expect(built.leftOut.map(({ path }) => path).sort()).toEqual(["big.bin", "sub/ two.bin"]);
    expect(changes(branch)).toEqual(["M 100644 100644 a.txt", "A 000000 100644 b.txt"]);
  });

  test("without the removal of a large file where the job has made its repository anew", async () => {
    project({ "a.txt": "a\n" });
    truncateSync(join(home, "work/a.txt"), 101 * 1024 ** 2);
    git("work", "commit", "--quiet", "-am", "Large");
    const { branch } = await job("work", "rm -rf .git; git init -q; echo b > b.txt");
    expect(changes(branch)).toEqual(["A 000000 100644 b.txt"]);
  });

  test("with large files that the job has committed itself", async () => {
    project({ "a.txt": "a\n" });
    const { branch } = await job("work", "truncate -s 101M big.bin; git add -A; git commit -qm Big; echo A > a.txt");
    expect(changes(branch)).toEqual(["M 100644 100644 a.txt", "A 000000 100644 big.bin"]);
  });
});
