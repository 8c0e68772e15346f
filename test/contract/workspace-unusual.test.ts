import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { createBranch } from "../../src/workspace/collect/create-branch.ts";
import { bubblewrap } from "../support/sandboxes.ts";
import { git, home, repository, useHome, write } from "./home-support.ts";
import { useJobs } from "./shapes-support.ts";

/* Repositories in unusual states, and those that git refuses. */

useHome();

const EDIT = "echo better > a.txt; echo new > new.txt";

describe.skipIf(!bubblewrap)("a project's changes come back as a branch", () => {
  const { job } = useJobs();

  /** Repositories in unusual states, and the settings that make git run programs. */
  const SHAPES: readonly (readonly [what: string, make: () => void, folder?: string])[] = [
    ["of SHA-256 objects", () => git("work", "init", "--quiet", "--object-format=sha256")],
    ["without a commit", () => git("work", "init", "--quiet")],
    [
      "with a detached HEAD, a split index and programs that would run",
      () => {
        git("work", "init", "--quiet");
        git("work", "add", ".");
        git("work", "commit", "--quiet", "-m", "First");
        git("work", "switch", "--quiet", "--detach");
        git("work", "update-index", "--split-index");
        for (const hook of ["reference-transaction", "post-index-change", "fsmonitor"]) {
          write(`hooks/${hook}`, `#!/bin/sh\ntouch ${join(home, "ran")}\n`);
          chmodSync(join(home, "hooks", hook), 0o755);
        }
        git("work", "config", "core.hooksPath", join(home, "hooks"));
        git("work", "config", "core.fsmonitor", join(home, "hooks/fsmonitor"));
        git("work", "config", "commit.gpgSign", "true");
        git("work", "config", "gpg.program", join(home, "hooks/fsmonitor"));
        write("work/a.txt", "a, changed\n");
      },
    ],
    [
      "seen through a link, in a subfolder",
      () => {
        git("work", "init", "--quiet");
        symlinkSync("work", join(home, "link"));
      },
      "link/sub",
    ],
    [
      "that is kept elsewhere, by a file .git",
      () => git("work", "init", "--quiet", `--separate-git-dir=${join(home, "kept")}`),
    ],
    [
      "whose .git is a link",
      () => {
        git("work", "init", "--quiet");
        renameSync(join(home, "work/.git"), join(home, "kept"));
        symlinkSync("../kept", join(home, "work/.git"));
      },
    ],
  ];
  test("under another name where the first branch is to be called agents", async () => {
    repository("work");
    git("work", "symbolic-ref", "HEAD", "refs/heads/agents");
    write("work/a.txt", "a\n");
    expect((await job("work", EDIT)).branch).toBe("agents-job_1");
  });

  for (const [what, make, folder = "work"] of SHAPES)
    test(`of a repository ${what}`, async () => {
      write("work/a.txt", "a\n");
      write("work/sub/b.txt", "b\n");
      make();
      const { branch } = await job(folder, EDIT);
      expect(existsSync(join(home, "ran"))).toBe(false);
      const top = folder.split("/")[0] as string;
      expect(git(top, "diff-tree", "-r", "--name-only", `${branch}~1`, `${branch}`).split("\n")).toEqual([
        "a.txt",
        "new.txt",
      ]);
    });

  /** What git does not accept, and words that tell the user what is wrong and what to do. */
  const BROKEN: readonly (readonly [what: string, make: () => void, words: RegExp])[] = [
    [
      "a damaged index",
      () => write("work/.git/index", "DIRC, or not\n"),
      /index is damaged.*remove \.git\/index and run git reset/s,
    ],
    ["settings with a mistake", () => write("work/.git/config", "[core\n"), /settings have a mistake; correct it/],
    [
      "a format of the future",
      () =>
        git("work", "config", "core.repositoryFormatVersion", "1") +
        git("work", "config", "extensions.refStorage", "x"),
      /too old to read; install a newer git/,
    ],
  ];
  for (const [what, make, words] of BROKEN)
    test(`not with ${what}, in words that say what to do`, async () => {
      repository("work");
      write("work/a.txt", "a\n");
      git("work", "add", ".");
      make();
      await expect(job("work", EDIT)).rejects.toThrow(words);
    });

  test("not while another git holds its lock, in words that say what to do", async () => {
    repository("work");
    write("work/a.txt", "a\n");
    const { store, built } = await job("work", EDIT);
    git("work", "branch", "-D", "agents/job_1");
    write("work/.git/refs/heads/agents/job_1.lock", "");
    const collect = () => createBranch(store, "job_1", built, "pack");
    await expect(collect()).rejects.toThrow(/another git is at work.*remove the lock file/s);
  });

  test("not while git is at something else with it, in words that say what to do", async () => {
    repository("work");
    write("work/a.txt", "a\n");
    git("work", "add", ".");
    git("work", "commit", "--quiet", "-m", "First");
    const { store, built } = await job("work", EDIT);
    const collect = (commits: typeof built = built) => createBranch(store, "job_1", commits, "pack");
    write("work/a.txt", "mine\n");
    git("work", "commit", "--quiet", "-am", "Mine");
    const tip = git("work", "rev-parse", "main");
    const other = { ...built, base: tip, head: tip, tip, env: {} };
    const tree = join(home, "tree");
    for (const [folder, start] of [["work", "checkout"], ["tree", "worktree"]] as const) {
      if (start === "checkout") git("work", "checkout", "--quiet", "agents/job_1");
      else git("work", "worktree", "add", "--quiet", tree, "agents/job_1");
      expect(() => git(folder, "rebase", "--quiet", "main")).toThrow();
      await expect(collect(other)).rejects.toThrow(/rebase or bisect of it is under way/);
      git(folder, "rebase", "--abort");
      git(folder, "bisect", "start");
      git(folder, "checkout", "--quiet", "--detach");
      await expect(collect(other)).rejects.toThrow(/rebase or bisect of it is under way/);
      git(folder, "bisect", "reset");
      if (start === "checkout") git("work", "checkout", "--quiet", "main");
    }
    rmSync(tree, { recursive: true });
    await expect(collect(other)).rejects.toThrow(/tree, which is not there any more; run git worktree prune/);
    git("work", "worktree", "prune");
    expect(await collect(other)).toBe("agents/job_1");
    write("work/.git/refs/heads/agents/job_1", "");
    await expect(collect()).rejects.toThrow(/reference is empty or damaged.*agents\/job_1/s);
  }); // biome-ignore format: one line

  test("with a pipe in place of a tracked file, which is named once", async () => {
    repository("work");
    write("work/a.txt", "a\n");
    git("work", "add", ".");
    rmSync(join(home, "work/a.txt"));
    execFileSync("mkfifo", [join(home, "work/a.txt"), join(home, "work/p")]);
    const { base } = await job("work", "echo new > new.txt");
    expect(base.notes).toEqual([expect.stringMatching(/were left out: a\.txt, p$/)]);
  });

  test("as a plain folder, with a note, where its .git leads nowhere", async () => {
    repository("work");
    write("work/a.txt", "a\n");
    git("work", "add", ".");
    git("work", "commit", "--quiet", "-m", "First");
    git("work", "worktree", "add", "--quiet", join(home, "tree"));
    renameSync(join(home, "work"), join(home, "moved"));
    const { base, files } = await job("tree", EDIT);
    expect(files).toEqual(["./a.txt"]);
    expect(base.notes).toEqual([
      expect.stringContaining("not where the file .git says (git worktree repair may mend it)"),
    ]);
  });
});
