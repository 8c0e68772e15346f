import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { chmodSync, rmSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/shared/clock.ts";
import { createGit } from "../../src/workspace/git.ts";
import { captureTree } from "../../src/workspace/project/capture-tree.ts";
import { projectID } from "../../src/workspace/project/project-id.ts";
import { capture, env, git, home, openHomeStore, repository, useHome, write } from "./home-support.ts";

/* What lies around a project, and in it without belonging to it. */

useHome();

function committed(): void {
  repository("work");
  write("work/a.txt", "a\n");
  git("work", "add", ".");
  git("work", "commit", "--quiet", "-m", "First");
}

describe("a folder that the repository around it ignores", () => {
  test("is a project of its own, with a note", async () => {
    committed();
    write("work/.gitignore", "scratch/\n");
    write("work/scratch/exp/train.py", "train\n");
    const { names, notes, project } = await capture("work/scratch/exp");
    expect(names).toEqual(["train.py"]);
    expect(project).toBe(join(home, "work/scratch/exp"));
    expect(notes).toEqual([expect.stringContaining("git ignores this folder")]);
    const idOf = (folder: string) => projectID(createGit(systemClock, env), join(home, folder));
    expect(await idOf("work/scratch/exp")).not.toBe(await idOf("work"));
  });

  test("belongs to the repository where that tracks files in it", async () => {
    committed();
    write("work/.gitignore", "kept/\n");
    write("work/kept/b.txt", "b\n");
    git("work", "add", "--force", "kept/b.txt");
    const { names, notes } = await capture("work/kept");
    expect(names).toEqual([".gitignore", "a.txt", "kept/b.txt"]);
    expect(notes).toEqual([]);
  });
});

test("of the largest files of a project that is too large, it is told which git tracks", async () => {
  committed();
  write("work/tracked.bin", "x".repeat(9_000));
  git("work", "add", ".");
  write("work/new.bin", "x".repeat(8_000));
  write("work/.gitignore", "tracked.bin\n");
  const taken = captureTree(await openHomeStore("work"), "base", { bytes: 6_000, files: 1_000 });
  await expect(taken).rejects.toThrow(
    /tracked\.bin \(9 KiB, tracked by git\), new\.bin \(8 KiB, not tracked\).*git rm --cached.*sparse-checkout/,
  );
});

describe("files in the folder of a submodule that is not fetched are taken, unless git ignores them", () => {
  for (const [what, unfetch] of [
    ["deinitialized", () => git("work", "submodule", "--quiet", "deinit", "--force", "lib")],
    ["without its .git", () => rmSync(join(home, "work/lib/.git"))],
  ] as const)
    test(what, async () => {
      committed();
      repository("part");
      write("part/inner.txt", "inner\n");
      git("part", "add", ".");
      git("part", "commit", "--quiet", "-m", "Part");
      git("work", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", join(home, "part"), "lib");
      unfetch();
      write("work/.gitignore", "*.log\n");
      write("work/lib/deep/mine.txt", "mine\n");
      write("work/lib/deep/mine.log", "log\n");
      const { names, notes } = await capture("work");
      expect(names).toContain("lib/deep/mine.txt");
      expect(names).not.toContain("lib/deep/mine.log");
      expect(notes).toEqual([expect.stringContaining("the submodule lib/ is not fetched here")]);
    });
});

test("a clone that borrows from a clone, as often as git can follow, is taken whole", async () => {
  committed();
  let from = "work";
  for (const name of ["one", 'tw"o', "three", "four", "five", "six"]) {
    const source = ["clone", "--quiet", "--shared", join(home, from), join(home, name)];
    execFileSync("git", source, { env, stdio: "pipe" });
    from = name;
  }
  write("six/b.txt", "b\n");
  const store = await openHomeStore("six");
  const base = await captureTree(store, "base");
  expect((await store.run(["archive", base.commit])).includes("a.txt")).toBe(true);
  expect(String(await store.run(["log", "--format=%s", String(base.head)]))).toBe("First\n");
});

test("a git finds libraries where the user's environment says, and none in the project", async () => {
  write("bin/git", '#!/bin/sh\necho "$LD_LIBRARY_PATH"\n');
  chmodSync(join(home, "bin/git"), 0o755);
  const said = (LD_LIBRARY_PATH: string) =>
    createGit(systemClock, { ...env, PATH: `${join(home, "bin")}:${env.PATH}`, LD_LIBRARY_PATH })
      .read({ args: ["version"], cwd: home, config: "none" })
      .then((output) => String(output).trim());
  expect(await said("/opt/git/lib::lib:/opt/ssl/lib")).toBe("/opt/git/lib:/opt/ssl/lib");
  expect(await said(":.")).toBe("");
});
