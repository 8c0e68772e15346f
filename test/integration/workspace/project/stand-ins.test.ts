import { expect, test } from "bun:test";
import { mkdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { capture, git, home, repository, useHome, write } from "../../../contract/home-support.ts";

useHome();

const link = (target: string, path: string) => symlinkSync(target, join(home, path));

test("links to what is not sent are named, wherever it is; those that lead to sent files, or nowhere in the project, are not", async () => {
  repository("work");
  write("work/.gitignore", "/runs/\n/private\n");
  write("work/sub/a.txt", "a\n");
  write("work/runs/best.pt", "ignored\n");
  write("datasets/train.bin", "data\n");
  mkdirSync(join(home, "work/empty"));
  link(join(home, "datasets"), "work/data");
  link("../../datasets/train.bin", "work/sub/train.bin");
  link("/net/away/for/good", "work/disk");
  link(join(home, "work/sub/a.txt"), "work/absolute"); // sandboxes have the project in another place
  link("runs/best.pt", "work/best.pt");
  link("best.pt", "work/newest.pt");
  link("../.git/description", "work/sub/annexed");
  link(join(home, "datasets"), "work/private");
  link("private/train.bin", "work/through.bin");
  for (const [
    target,
    path,
  ] of [["sub/a.txt", "good"], ["sub", "folder"], ["good", "chain"], ["folder/a.txt", "into"], ["empty", "none"], [".", "self"], ["missing", "broken"]]) // biome-ignore format: one line
    link(target as string, `work/${path}`);
  git("work", "add", "sub");
  const named = "absolute, best.pt, data, disk, newest.pt, sub/annexed, sub/train.bin, through.bin";
  const { notes, names } = await capture("work");
  expect(notes).toEqual([
    `links lead to what is not sent with the project, so in sandboxes they may lead nowhere: ${named}`,
  ]);
  expect(names).toContain("data");
});

test("files of Git LFS that were not fetched are named, and those that were are not", async () => {
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${"a".repeat(64)}\nsize 123456\n`;
  repository("work");
  write("work/.gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  for (const path of ["weights.bin", "sub/old.bin", "example.txt"]) write(`work/${path}`, pointer);
  write("work/fetched.bin", "what it holds\n");
  write("work/empty.bin", "");
  const { notes } = await capture("work");
  expect(notes.filter((note) => note.includes("pointers"))).toEqual([
    "files of Git LFS are pointers here, and so in sandboxes: their content was not fetched (git lfs pull): sub/old.bin, weights.bin",
  ]);
});
