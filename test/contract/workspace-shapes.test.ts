import { describe, expect, test } from "bun:test";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createBranch } from "../../src/workspace/collect/create-branch.ts";
import { bubblewrap } from "../support/sandboxes.ts";
import { git, home, repository, useHome, write } from "./home-support.ts";
import { useJobs } from "./shapes-support.ts";
import { runIn } from "./workspace-support.ts";

/* From a repository of any shape into a sandbox and back as a branch. */

useHome();

const TOKEN = "s3cret-token";
const EDIT = "echo better > a.txt; echo new > new.txt";

/** A repository with two commits on main, one on `other`, and a bare clone of it that partial clones may be made from. */
function makeOrigin(): string {
  repository("origin");
  write("origin/a.txt", "a\n");
  write("origin/sub/b.txt", "b\n");
  write("origin/lib/c.txt", "c\n");
  git("origin", "add", ".");
  git("origin", "commit", "--quiet", "-m", "First");
  write("origin/a.txt", "a, second\n");
  git("origin", "commit", "--quiet", "-am", "Second");
  git("origin", "branch", "other");
  git("origin", "switch", "--quiet", "other");
  write("origin/sub/b.txt", "b of other\n");
  git("origin", "commit", "--quiet", "-am", "Other");
  git("origin", "switch", "--quiet", "main");
  write("origin/lib/c.txt", "c, third\n");
  git("origin", "commit", "--quiet", "-am", "Third");
  git("origin", "config", "uploadpack.allowFilter", "true");
  git("origin", "config", "uploadpack.allowAnySHA1InWant", "true");
  return `file://${join(home, "origin")}`;
}

const clone = (...args: string[]) =>
  git("", "-c", "protocol.file.allow=always", "clone", "--quiet", ...args, join(home, "work"));

describe.skipIf(!bubblewrap)("a project's changes come back as a branch", () => {
  const { job, sandbox } = useJobs();

  const changes = (folder: string, branch: string | null) =>
    git(folder, "diff", "--name-status", `${branch}~1`, `${branch}`).split("\n");

  test("of a shallow clone whose user has switched to another branch of depth 1 meanwhile", async () => {
    clone("--depth=1", "--no-single-branch", makeOrigin());
    const { branch, preview } = await job("work", EDIT, () => git("work", "switch", "--quiet", "other"));
    expect(changes("work", branch)).toEqual(["M\ta.txt", "A\tnew.txt"]);
    expect(preview.kind).toBe("clean");
    git("work", "fsck");
  });

  for (const filter of ["blob:none", "tree:0"])
    for (const sparse of [false, true])
      test(`of a partial clone (${filter}${sparse ? ", sparse" : ""}) whose remote cannot be reached`, async () => {
        clone(`--filter=${filter}`, ...(sparse ? ["--sparse"] : []), makeOrigin());
        // Whoever fetches what is missing runs this.
        for (const protocol of ["file", "ext"]) git("", "config", "--global", `protocol.${protocol}.allow`, "always");
        git("work", "remote", "set-url", "origin", `ext::touch ${join(home, "fetched")}`);
        const { branch, built, base } = await job("work", `${EDIT}; mkdir -p lib; echo mine > lib/c.txt`, () => {
          git("work", "switch", "--quiet", "--orphan", "empty");
          git("work", "commit", "--quiet", "--allow-empty", "-m", "Empty");
        });
        expect(existsSync(join(home, "fetched"))).toBe(false);
        const named = built.leftOut.map(({ path }) => path);
        expect([base.notes.join(), ...named]).toEqual(
          sparse ? [expect.stringMatching(/not checked out.*: 2, in lib, sub$/), "lib/c.txt"] : [""],
        );
        expect(built.changed).toEqual(["a.txt", ...(sparse ? [] : ["lib/c.txt"]), "new.txt"]);
        expect(git("work", "show", `${branch}:a.txt`)).toBe("better");
      });

  test("under another name where a branch of the user's takes the place, and not at all without changes", async () => {
    makeOrigin();
    const nothing = await job("origin", "git tag mine; touch a.txt; git commit --quiet --allow-empty -m Empty");
    expect([nothing.branch, git("origin", "branch", "--list", "agents*")]).toEqual([null, ""]);

    const { store, built } = await job("origin", EDIT);
    const collect = () => createBranch(store, "job_1", built, "pack").catch(({ message }) => message as string);
    const took: (string | null)[] = [];
    for (const taken of ["agents", "agents/job_1/mine", "Agents", "agents-job_1/mine"]) {
      git("origin", "config", "core.ignoreCase", `${taken === "Agents"}`);
      git("origin", "branch", "-D", "agents/job_1");
      git("origin", "branch", taken, "main");
      git("origin", "pack-refs", "--all");
      took.push(await collect(), await collect());
      git("origin", "branch", "-D", taken, took.at(-1) as string);
      git("origin", "branch", "agents/job_1", "main");
    }
    const other = "agents-job_1";
    expect(took).toEqual([other, other, other, other, other, other, "agents/job_1", "agents/job_1"]);
    expect(await collect()).toContain("holds commits that are not the job's; rename or delete it first");
    git("origin", "branch", "-m", "agents/job_1", "agents/job_1/mine");
    git("origin", "branch", "agents-job_1/mine", "main");
    expect(await collect()).toContain('rename them, or use mode "patch"');
  });

  /** A bare repository with a token in its settings, and working trees beside it. */
  function makeBare(): void {
    makeOrigin();
    mkdirSync(join(home, "proj"));
    git("", "clone", "--quiet", "--bare", join(home, "origin"), join(home, "proj/.bare"));
    git("proj/.bare", "remote", "set-url", "origin", `https://user:${TOKEN}@example.com/x.git`);
    write("proj/.git", "gitdir: ./.bare\n");
    for (const branch of ["other", "main"]) git("proj", "worktree", "add", "--quiet", branch, branch);
  }

  /** Everything in the sandbox that has the token. */
  const findToken = async () => String(await runIn(sandbox(), `grep -rl ${TOKEN} . || true`));

  test("of a worktree beside a bare repository", async () => {
    makeBare();
    const { branch, files } = await job("proj/main", EDIT);
    expect(files).toEqual(["./a.txt", "./lib/c.txt", "./sub/b.txt"]);
    expect(changes("proj/main", branch)).toEqual(["M\ta.txt", "A\tnew.txt"]);
  });

  test("of the folder around a bare repository and its worktrees: one of them is taken, and no secret", async () => {
    makeBare();
    const { base, files, built } = await job("proj", "echo better > main/a.txt; echo new > new.txt");
    expect(files).toEqual(["./main/a.txt", "./main/lib/c.txt", "./main/sub/b.txt"]);
    expect(await findToken()).toBe("");
    expect(base.notes).toEqual([
      expect.stringContaining("it is a bare one; open OpenCode in one of its working trees"),
      expect.stringMatching(/^other working trees .*: other\/$/),
      expect.stringMatching(/^git repositories among the files were left out.*: \.bare$/),
    ]);
    expect(built.changed).toEqual(["new.txt"]);
    expect(built.leftOut).toMatchObject([{ path: "main/", why: expect.stringContaining('mode "files"') }]);
  });

  test("without the repositories that lie about in it, tracked or not, which stay as they are", async () => {
    makeOrigin();
    for (const at of ["mirror.git", "deep/fixture", ".git.old"]) {
      git("", "clone", "--quiet", "--mirror", join(home, "origin"), join(home, "origin", at));
      git(`origin/${at}`, "remote", "set-url", "origin", `https://user:${TOKEN}@example.com/x.git`);
    }
    git("origin", "add", "deep/fixture");
    git("origin", "commit", "--quiet", "-m", "With a fixture");
    const { base, branch, built } = await job(
      "origin",
      `${EDIT}; mkdir deep; echo in > deep/fixture; echo own > deep/own; git init -q --bare made.git; mv .git .moved`,
    );
    expect(await findToken()).toBe("");
    expect(base.notes).toEqual([expect.stringMatching(/: \.git\.old, deep\/fixture, mirror\.git$/)]);
    expect(changes("origin", branch)).toEqual(["M\ta.txt", "A\tdeep/own", "A\tnew.txt"]);
    expect(built.leftOut.map(({ path }) => path).sort()).toEqual([".git", ".moved", "deep/fixture", "made.git"]);
  });

  test("without its other worktrees, wherever they are", async () => {
    makeOrigin();
    for (const at of [".worktrees/one", ".claude/worktrees/two", "three"])
      git("origin", "worktree", "add", "--quiet", "--detach", at);
    git("origin/three", "commit", "--quiet", "--allow-empty", "-m", "Three");
    const { base, files } = await job("origin", EDIT);
    expect(files).toEqual(["./a.txt", "./lib/c.txt", "./sub/b.txt"]);
    expect(base.notes).toEqual([expect.stringMatching(/: \.claude\/worktrees\/two\/, \.worktrees\/one\/, three\/$/)]);
    const three = await job("origin/three", EDIT, () => {}, "job_3");
    expect(changes("origin", three.branch)).toEqual(["M\ta.txt", "A\tnew.txt"]);
  });
});
