import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { systemClock } from "../../src/shared/clock.ts";
import { createGit } from "../../src/workspace/git.ts";
import { captureTree } from "../../src/workspace/project/capture-tree.ts";
import { findProject } from "../../src/workspace/project/find-project.ts";
import { readHomes } from "../../src/workspace/project/home-folders.ts";
import { storeAt } from "./workspace-support.ts";

/* Which folder of a machine is the project, whatever its repositories declare, and which of its files are copied. */

let base = "";
let home = "";
let stateDir = "";
let env: Record<string, string> = {};
let count = 0;

beforeAll(() => {
  base = realpathSync(mkdtempSync(join(tmpdir(), "homes-")));
  stateDir = join(base, "state");
});
afterAll(() => rmSync(base, { recursive: true, force: true }));

/** Each test has a home directory of its own, with a key in it. */
beforeEach(() => {
  home = join(base, `users/ada${++count}`);
  env = { PATH: process.env.PATH ?? "", HOME: home, GIT_CONFIG_NOSYSTEM: "1" };
  write(".gitconfig", "[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n");
  write(".ssh/id_ed25519", "private key\n");
  write("plain/notes.txt", "notes\n");
});

function write(path: string, text: string): void {
  mkdirSync(dirname(join(home, path)), { recursive: true });
  writeFileSync(join(home, path), text);
}

const git = (folder: string, ...args: string[]) =>
  execFileSync("git", ["-C", join(home, folder), ...args], { env, encoding: "utf8", stdio: "pipe" }).trimEnd();

function repository(folder: string): void {
  mkdirSync(join(home, folder), { recursive: true });
  git(folder, "init", "--quiet");
}

const find = (folder: string, more: Record<string, string> = {}) =>
  findProject(createGit(systemClock, { ...env, ...more }), join(home, folder), { own: [home], others: [] });

/** Names of the files that are copied from there, and the notes. */
async function taken(folder: string): Promise<{ names: string[]; notes: readonly string[] }> {
  const store = await storeAt(join(home, folder), stateDir, env);
  const { commit, notes } = await captureTree(store, `n${count}`);
  const names = (await store.run(["ls-tree", "-r", "-z", "--name-only", commit])).toString().split("\0");
  return { names: names.filter(Boolean), notes };
}

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
    symlinkSync(home, join(base, `link${count}`));
    expect(await find(`../../link${count}`)).toEqual(HOME);
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
    expect(await taken("plain")).toEqual({
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
    expect((await taken("plain")).names).toEqual(["notes.txt"]);
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
      const { names, notes } = await taken("hostile");
      expect(names).toEqual(["a.txt", "way"]);
      expect(notes).toEqual([elsewhere]);
    });

  test("by a .git file, or as the bare repository of a home, gets none of them either", async () => {
    execFileSync("git", ["init", "--quiet", "--bare", join(home, ".cfg")], { env });
    git(".cfg", "config", "core.bare", "false");
    git(".cfg", "config", "core.worktree", home);
    write("hostile/.git", `gitdir: ${join(home, ".cfg")}\n`);
    write("hostile/a.txt", "a\n");
    expect((await taken("hostile")).names).toEqual(["a.txt"]);
    expect(await find("")).toEqual(HOME);
    expect((await taken("plain")).names).toEqual(["notes.txt"]);
    const inside = { kind: "none" as const, why: expect.stringContaining("among git's own files") };
    for (const folder of [".cfg", ".cfg/objects"]) expect(await find(folder)).toEqual(inside);
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
    expect((await taken("work")).names).toEqual([".gitmodules", "a.txt", "part/a.txt"]);
  });
});

describe("untracked files", () => {
  const setting = { key: "status.showUntrackedFiles", note: "files that git does not track" };
  const VALUES = { no: false, false: false, No: false, normal: true, all: true, true: true };
  for (const [value, isTaken] of Object.entries(VALUES))
    for (const whose of ["repository", "user"])
      test(`are copied or left out as the ${whose} setting says: ${value}`, async () => {
        repository("work");
        write("work/tracked.txt", "tracked\n");
        git("work", "add", "tracked.txt");
        write("work/loose.txt", "loose\n");
        mkdirSync(join(home, "work/empty"));
        git("work", "config", whose === "user" ? "--global" : "--local", setting.key, value);
        const { names, notes } = await taken("work");
        expect(names).toEqual(isTaken ? ["loose.txt", "tracked.txt"] : ["tracked.txt"]);
        expect(notes.filter((note) => note.includes(setting.note))).toHaveLength(isTaken ? 0 : 1);
        expect((await taken("plain")).names).toEqual(["notes.txt"]); // in a project without git all files are untracked, and copied
      });

  test("that git ignores by its exclude files are left out", async () => {
    repository("work");
    write("work/.git/info/exclude", "private.txt\n");
    write("lists/ignore", "*.secret\n");
    git("work", "config", "--global", "core.excludesFile", "~/lists/ignore");
    for (const name of ["private.txt", "a.secret", "b.txt"]) write(`work/${name}`, "x\n");
    expect((await taken("work")).names).toEqual(["b.txt"]);
  });
});

test("empty folders that git ignores are left out, also in a nested repository", async () => {
  for (const folder of ["work", "work/own", "plain"]) {
    if (folder !== "plain") repository(folder);
    write(`${folder}/.gitignore`, "out/\n");
    for (const name of ["out", "kept", ":kept", "new/out", "new/kept"])
      mkdirSync(join(home, folder, name), { recursive: true });
    write(`${folder}/new/a.txt`, "a\n");
  }
  const foldersOf = async (folder: string) => {
    const store = await storeAt(join(home, folder), stateDir, env);
    return (await captureTree(store, "folders")).emptyFolders;
  };
  const kept = [":kept", "kept", "new/kept"];
  expect(await foldersOf("work")).toEqual([...kept, ...kept.map((name) => `own/${name}`)].sort());
  expect(await foldersOf("plain")).toEqual(kept);
});

describe("an index that was made to name files elsewhere", () => {
  /** Replaces a name in an index and corrects the checksum. */
  function rename(folder: string, from: string, to: string): void {
    const file = join(home, folder, ".git/index");
    const content = readFileSync(file).subarray(0, -20).toString("latin1").replace(from, to);
    const bytes = Buffer.from(content, "latin1");
    writeFileSync(file, Buffer.concat([bytes, createHash("sha1").update(bytes).digest()]));
  }

  test("gets none of them", async () => {
    repository("work/project");
    write("work/secret", "private\n");
    write("work/project/xx/secret", "x\n");
    write("work/project/ways/secret", "x\n");
    git("work/project", "add", ".");
    rename("work/project", "xx/secret", "../secret");
    renameSync(join(home, "work/project/ways"), join(home, "work/project/gone"));
    symlinkSync("..", join(home, "work/project/ways"));
    const { names, notes } = await taken("work/project");
    expect(names).toEqual(["gone/secret", "ways", "xx/secret"]);
    expect(notes).toContain("names that lead elsewhere were left out: ../secret");
  });

  test("gets nothing through a submodule that has become a link out of the project", async () => {
    repository("other");
    write("other/private.txt", "private\n");
    git("other", "add", ".");
    git("other", "commit", "--quiet", "-m", "Other");
    repository("work");
    git("work", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", join(home, "other"), "part");
    rmSync(join(home, "work/part"), { recursive: true });
    symlinkSync("../other", join(home, "work/part"));
    const { names, notes } = await taken("work");
    expect(names.filter((name) => name.includes("private"))).toEqual([]);
    expect(notes).toContain("the nested repository part/ was left out: it is reached through a link");
  });
});
