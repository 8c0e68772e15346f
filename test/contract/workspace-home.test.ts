import { describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { systemClock } from "../../src/shared/clock.ts";
import { createGit } from "../../src/workspace/git.ts";
import { findProject } from "../../src/workspace/project/find-project.ts";
import { readHomes } from "../../src/workspace/project/home-folders.ts";
import { base, capture, env, git, home, repository, useHome, write } from "./home-support.ts";

/* Which folder of a machine is the project, whatever its repositories declare. */

useHome();

const find = (folder: string, more: Record<string, string> = {}) =>
  findProject(createGit(systemClock, { ...env, ...more }), join(home, folder), { own: [home], others: [] });

const HOME = { kind: "none" as const, why: expect.stringContaining("open in a home directory, or above one") };
const settings = { kind: "none" as const, why: expect.stringContaining("the settings and keys of a home") };

describe("a home directory is not a project", () => {
  test("even if it is a git repository", async () => {
    for (const isRepository of [false, true]) {
      if (isRepository) repository("");
      for (const folder of ["", "..", "../.."]) expect(await find(folder)).toEqual(HOME);
    }
  });

  test("even through a link, and neither is the whole machine", async () => {
    symlinkSync(home, join(base, "link"));
    expect(await find("../../link")).toEqual(HOME);
    expect(await findProject(createGit(systemClock, env), "/", { own: [home], others: [] })).toEqual(HOME);
  });

  test("and neither is another user's home, or a folder of settings in a home", async () => {
    const homes = { own: [join(base, "users/other")], others: [home] };
    expect(await findProject(createGit(systemClock, env), home, homes)).toEqual(HOME);
    write(".config/gh/hosts.yml", "token\n");
    for (const folder of [".ssh", ".config", ".config/gh"]) expect(await find(folder)).toEqual(settings);
    repository("");
    expect(await find(".ssh")).toEqual(settings);
    repository(".dotfiles");
    expect(await find(".dotfiles")).toMatchObject({ root: join(home, ".dotfiles"), isRepository: true });
  });

  test("and the machine's home directories are known", async () => {
    const { own, others } = await readHomes();
    expect(own).toContain(realpathSync(process.env.HOME ?? "/root"));
    expect(others).toContain("/root");
  });
});

describe("a folder below a home that is a repository", () => {
  test("is a project of its own, with a note that says so", async () => {
    repository("");
    git("", "add", ".gitconfig");
    git("", "commit", "--quiet", "-m", "Settings");
    expect(await find("plain")).toMatchObject({ root: join(home, "plain"), isRepository: false });
    expect(await capture("plain")).toMatchObject({
      names: ["notes.txt"],
      notes: [
        "The folder itself is the project, and the git repository around it is ignored: that repository is a whole home directory.",
      ],
    });
  });

  test("is a project with its history if it has a repository of its own", async () => {
    repository("");
    repository("work");
    write("work/sub/a.txt", "a\n");
    expect(await find("work/sub")).toEqual({
      kind: "project",
      root: join(home, "work"),
      isRepository: true,
      notes: [],
    });
  });

  test("leaves out files that the user ignores globally", async () => {
    write(".config/git/ignore", ".env\n");
    write("plain/.env", "TOKEN=1\n");
    expect((await capture("plain")).names).toEqual(["notes.txt"]);
  });
});

describe("a repository that declares its files to lie elsewhere", () => {
  const elsewhere =
    "The folder itself is the project, and the git repository around it is ignored: its files lie elsewhere.";

  for (const place of ["home", "/", "parent", "linked home"])
    test(`in ${place} gets none of them`, async () => {
      repository("hostile");
      write("hostile/a.txt", "a\n");
      symlinkSync(home, join(home, "hostile/way"));
      const places = { home, "/": "/", parent: dirname(home), "linked home": join(home, "hostile/way") };
      git("hostile", "config", "core.worktree", places[place as keyof typeof places]);
      const { names, notes } = await capture("hostile");
      expect(names).toEqual(["a.txt", "way"]);
      expect(notes).toEqual([elsewhere, expect.stringMatching(/^links lead to what is not sent.*: way$/)]);
    });

  test("by a .git file, or as the bare repository of a home, gets none of them either", async () => {
    execFileSync("git", ["init", "--quiet", "--bare", join(home, ".cfg")], { env });
    git(".cfg", "config", "core.bare", "false");
    git(".cfg", "config", "core.worktree", home);
    write("hostile/.git", `gitdir: ${join(home, ".cfg")}\n`);
    write("hostile/a.txt", "a\n");
    expect((await capture("hostile")).names).toEqual(["a.txt"]);
    expect(await find("")).toEqual(HOME);
    expect((await capture("plain")).names).toEqual(["notes.txt"]);
    const inside = { kind: "none" as const, why: expect.stringContaining("among git's own files") };
    for (const folder of [".cfg", ".cfg/objects"]) expect(await find(folder)).toEqual(inside);
  });

  test("nowhere, though this is a working tree, is no bare one, and what its user is told mends it", async () => {
    repository("work");
    write("work/a.txt", "a\n");
    git("work", "add", ".");
    git("work", "commit", "--quiet", "-m", "First");
    git("work", "worktree", "add", "--quiet", "../tree");
    git("work", "config", "core.bare", "true");
    const told = expect.stringContaining("its setting core.bare says that it has no working tree, though this is one");
    expect(await find("work")).toMatchObject({ isRepository: false, notes: [told] });
    git("work", "config", "extensions.worktreeConfig", "true");
    expect(await find("tree")).toMatchObject({ isRepository: false, notes: [told] });
    git("tree", "config", "--worktree", "core.bare", "false");
    git("work", "config", "core.bare", "false");
    for (const folder of ["work", "tree"])
      expect(await find(folder)).toMatchObject({ root: join(home, folder), isRepository: true, notes: [] });
  });

  test("through the environment of OpenCode is ignored", async () => {
    repository("other");
    const more = { GIT_DIR: join(home, "other/.git"), GIT_WORK_TREE: home, GIT_INDEX_FILE: join(home, "index") };
    expect(await find("plain", more)).toMatchObject({ root: join(home, "plain"), isRepository: false });
    repository("work");
    write("work/sub/a.txt", "a\n");
    const ceiling = { GIT_CEILING_DIRECTORIES: join(home, "work") };
    expect(await find("work/sub", ceiling)).toMatchObject({ root: join(home, "work/sub"), isRepository: false });
  });

  test("as a worktree or a submodule with absolute paths does is an ordinary project", async () => {
    repository("work");
    write("work/a.txt", "a\n");
    git("work", "add", ".");
    git("work", "commit", "--quiet", "-m", "First");
    git("work", "worktree", "add", "--quiet", join(home, "tree"));
    git("work", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", join(home, "tree"), "part");
    writeFileSync(join(home, "work/part/.git"), `gitdir: ${join(home, "work/.git/modules/part")}\n`);
    for (const folder of ["tree", "work/part"])
      expect(await find(folder)).toEqual({ kind: "project", root: join(home, folder), isRepository: true, notes: [] });
    expect((await capture("work")).names).toEqual([".gitmodules", "a.txt", "part/a.txt"]);
  });
});
