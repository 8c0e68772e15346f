import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../src/shared/clock.ts";
import { createGit } from "../../../../src/workspace/git.ts";
import { GitError } from "../../../../src/workspace/git-error.ts";
import { fileNameFor } from "../../../../src/workspace/paths.ts";
import { projectID } from "../../../../src/workspace/project/project-id.ts";

/* One name for all folders of a clone and its worktrees; another name for everything else, also for what pretends. */

let base = "";
let home = "";
const env = () => ({ PATH: process.env.PATH ?? "", HOME: home, GIT_CONFIG_NOSYSTEM: "1" });
const git = (cwd: string, ...args: string[]) => execFileSync("git", args, { cwd, env: env(), stdio: "pipe" });
const idOf = (directory: string) => projectID(createGit(systemClock, env()), directory);

function clone(name: string): string {
  const root = join(base, name);
  mkdirSync(join(root, "src"), { recursive: true });
  git(root, "init", "--quiet", "--initial-branch=main");
  git(
    root,
    "-c",
    "user.name=Ada",
    "-c",
    "user.email=ada@example.com",
    "commit",
    "--quiet",
    "--allow-empty",
    "-m",
    "one",
  );
  return root;
}

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "project-id-")));
  home = join(base, "home");
  mkdirSync(home);
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

test("every folder of a clone, every link to it and every linked worktree has the clone's id", async () => {
  const root = clone("clone");
  git(root, "worktree", "add", "--quiet", join(base, "linked"));
  mkdirSync(join(base, "linked", "deep"));
  symlinkSync(root, join(base, "link"));
  const id = await idOf(root);
  expect(id).toMatch(/^[0-9a-f]{16}$/);
  for (const place of [join(root, "src"), join(base, "link"), join(base, "linked"), join(base, "linked", "deep")])
    expect([place, await idOf(place)]).toEqual([place, id]);
});

test("the worktrees of a bare repository have one id, also where it lies in a hidden folder", async () => {
  const root = clone("origin");
  const bare = join(base, "work", ".bare");
  git(base, "clone", "--quiet", "--bare", root, bare);
  for (const name of ["one", "two"]) git(bare, "worktree", "add", "--quiet", "-b", name, join(base, "work", name));
  const id = await idOf(join(base, "work", "one"));
  expect(await idOf(join(base, "work", "two"))).toBe(id);
  expect(id).not.toBe(await idOf(root));
});

test("another clone, a repository inside, and plain folders have ids of their own", async () => {
  const root = clone("outer");
  const inner = clone("outer/inner");
  git(base, "clone", "--quiet", root, join(base, "copy"));
  mkdirSync(join(base, "plain", "below"), { recursive: true });
  const places = [root, inner, join(base, "copy"), join(base, "plain"), join(base, "plain", "below"), home];
  const ids = await Promise.all(places.map((place) => idOf(place)));
  expect(new Set(ids).size).toBe(places.length);
});

test("a folder whose .git leads to another project does not pass for that project", async () => {
  const root = clone("victim");
  git(root, "worktree", "add", "--quiet", join(base, "victims-worktree"));
  const id = await idOf(root);
  const pretend = (name: string, file: string) => {
    mkdirSync(join(base, name));
    writeFileSync(join(base, name, ".git"), `gitdir: ${file}\n`);
    return join(base, name);
  };
  const common = clone("commondir");
  writeFileSync(join(common, ".git", "commondir"), `${root}/.git\n`);
  mkdirSync(join(base, "linked-git"));
  symlinkSync(join(root, ".git"), join(base, "linked-git", ".git"));
  const pretenders = [
    pretend("as-main", join(root, ".git")),
    pretend("as-worktree", join(root, ".git/worktrees/victims-worktree")),
    common,
    join(base, "linked-git"),
  ];
  for (const one of pretenders) expect([one, await idOf(one)]).not.toEqual([one, id]);
});

test("a folder stays the same project when git is set up in it, is removed, or its repository becomes somebody else's", async () => {
  const root = join(base, "changing");
  mkdirSync(root);
  const id = await idOf(root);
  clone("changing");
  expect(await idOf(root)).toBe(id);
  // As git says it of a repository that another user owns.
  const refused = async () => {
    throw new GitError(["rev-parse"], 128, "fatal: detected dubious ownership in repository");
  };
  expect(await projectID({ ...createGit(systemClock, env()), read: refused }, root)).toBe(id);
  rmSync(join(root, ".git"), { recursive: true });
  expect(await idOf(root)).toBe(id);
});

test("what an earlier version knew by the folder alone goes on, unless there is something by its repository", async () => {
  const root = join(base, "earlier");
  mkdirSync(root);
  const former = fileNameFor(root);
  const among = (...known: string[]) => projectID(createGit(systemClock, env()), root, (one) => known.includes(one));
  expect(await among(former)).toBe(former);
  clone("earlier");
  const id = await among();
  expect([id === former, await among(former), await among(former, id)]).toEqual([false, former, id]);
  // A worktree belongs to its clone, whatever was in its place.
  const linked = join(base, "earlier-linked");
  git(root, "worktree", "add", "--quiet", linked);
  const isFormer = (one: string) => one === fileNameFor(linked);
  expect(await projectID(createGit(systemClock, env()), linked, isFormer)).toBe(id);
  const isClones = (one: string) => one === former;
  expect(await projectID(createGit(systemClock, env()), linked, isClones)).toBe(former);
});

test("without git, the folder itself is the project", async () => {
  const root = clone("no-git");
  const fails = async () => {
    throw new GitError(["rev-parse"], null, "git is not installed");
  };
  const without = { ...createGit(systemClock, env()), read: fails };
  symlinkSync(root, join(base, "link-without-git"));
  const id = await projectID(without, root);
  expect(await projectID(without, join(base, "link-without-git"))).toBe(id);
  expect(await projectID(without, join(root, "src"))).not.toBe(id);
});
