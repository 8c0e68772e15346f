import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { capture, git, home, repository, useHome, write } from "./home-support.ts";

/* Which files of a project are copied to sandboxes. */

useHome();

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
        const { names, notes } = await capture("work");
        expect(names).toEqual(isTaken ? ["loose.txt", "tracked.txt"] : ["tracked.txt"]);
        expect(notes.filter((note) => note.includes(setting.note))).toHaveLength(isTaken ? 0 : 1);
        expect((await capture("plain")).names).toEqual(["notes.txt"]); // in a project without git all files are untracked, and copied
      });

  test("that git ignores by its exclude files are left out", async () => {
    repository("work");
    write("work/.git/info/exclude", "private.txt\n");
    write("lists/ignore", "*.secret\n");
    git("work", "config", "--global", "core.excludesFile", "~/lists/ignore");
    for (const name of ["private.txt", "a.secret", "b.txt"]) write(`work/${name}`, "x\n");
    expect((await capture("work")).names).toEqual(["b.txt"]);
  });
});

test("reports of this plugin are left out and named unless git tracks them, so that a report changes no job's files", async () => {
  repository("work");
  for (const folder of ["work", "plain"]) write(`${folder}/sub/parallel-agents-report-ses_1.html`, "all jobs\n");
  write("work/parallel-agents-report-ses_2.csv", "kept on purpose\n");
  write("work/parallel-agents-report.md", "about them\n");
  git("work", "add", "parallel-agents-report-ses_2.csv");
  const { names, notes } = await capture("work");
  expect(names).toEqual(["parallel-agents-report-ses_2.csv", "parallel-agents-report.md"]);
  expect(notes).toEqual(["reports of this plugin were left out: sub/parallel-agents-report-ses_1.html"]);
  expect((await capture("plain")).names).toEqual(["notes.txt"]);
});

test("empty folders that git ignores are left out, also in a nested repository", async () => {
  for (const folder of ["work", "work/own", "plain"]) {
    if (folder !== "plain") repository(folder);
    write(`${folder}/.gitignore`, "out/\n");
    for (const name of ["out", "kept", ":kept", "new/out", "new/kept"])
      mkdirSync(join(home, folder, name), { recursive: true });
    write(`${folder}/new/a.txt`, "a\n");
  }
  const foldersOf = async (folder: string) => (await capture(folder)).emptyFolders;
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
    const { names, notes } = await capture("work/project");
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
    const { names, notes } = await capture("work");
    expect(names.filter((name) => name.includes("private"))).toEqual([]);
    expect(notes).toContain("the nested repository part/ was left out: it is reached through a link");
  });
});
