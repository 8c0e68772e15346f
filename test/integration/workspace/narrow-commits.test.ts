import { expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/shared/clock.ts";
import type { BuiltCommits } from "../../../src/workspace/collect/build-commits.ts";
import { narrowCommits } from "../../../src/workspace/collect/narrow-commits.ts";
import { parsePatterns } from "../../../src/workspace/collect/select-files.ts";
import { writePatch } from "../../../src/workspace/collect/write-patch.ts";
import { createGit } from "../../../src/workspace/git.ts";
import { openProjectStore } from "../../../src/workspace/project/project-store.ts";
import { writeTree } from "../../../src/workspace/project/tree-entries.ts";

const [stateDir, root] = [mkdtempSync(join(tmpdir(), "state-")), mkdtempSync(join(tmpdir(), "project-"))];
const project = { kind: "project", root, isRepository: false, notes: [] } as const;
const store = await openProjectStore(createGit(systemClock, process.env), stateDir, project);

async function treeOf(files: Record<string, string>): Promise<string> {
  const entries = new Map<string, { mode: string; oid: string }>();
  for (const [path, text] of Object.entries(files)) {
    const oid = await store.run(["hash-object", "-w", "--stdin"], { input: Buffer.from(text) });
    entries.set(path, { mode: "100644", oid: oid.toString().trim() });
  }
  return writeTree(store, entries, "test");
}

const files = { "a.txt": "a\n", "old.txt": "old\n", name: "was a file\n", "dir/x": "x\n", "dir/y": "y\n" };
const after = {
  "a.txt": "A\n",
  "name/in": "is a folder\n",
  dir: "is a file\n",
  "sub/new.txt": "new\n",
  "b[1].txt": "b\n",
};
const built = {
  baseTree: await treeOf(files),
  tree: await treeOf(after),
  env: {},
  changed: ["a.txt", "b[1].txt", "dir", "dir/x", "dir/y", "name", "name/in", "old.txt", "sub/new.txt"],
  attention: [],
} as unknown as BuiltCommits;
let count = 0;

/** Applies the patch of these paths to the files that the job started from. */
async function changedBy(...paths: string[]) {
  const { built: some, unmatched } = await narrowCommits(store, built, parsePatterns(paths, "/home/job"), "narrow");
  const before = mkdtempSync(join(tmpdir(), "before-"));
  for (const [path, text] of Object.entries(files)) {
    execFileSync("mkdir", ["-p", join(before, path, "..")]);
    writeFileSync(join(before, path), text);
  }
  const name = `${count++}.patch`;
  if (await writePatch(store, some, name, "patch"))
    execFileSync("git", ["apply", join(root, name)], { cwd: before, env: { ...process.env, GIT_CEILING_DIRECTORIES: tmpdir() } }); // biome-ignore format: one line
  const left = execFileSync("find", [".", "-type", "f", "-printf", "%P\\n"], { cwd: before })
    .toString()
    .trim()
    .split("\n");
  const now = Object.fromEntries(left.map((path) => [path, readFileSync(join(before, path), "utf8")]));
  return { now, unmatched, changed: some.changed };
}

test("of a job's changes those at some paths remain, however they are written, and apply by themselves", async () => {
  expect(await changedBy("/home/job/a.txt", "./sub/", "docs")).toEqual({
    now: { ...files, "a.txt": "A\n", "sub/new.txt": "new\n" },
    unmatched: ["docs"],
    changed: ["a.txt", "sub/new.txt"],
  });
  const { "old.txt": _, ...without } = files;
  expect((await changedBy("old.txt", "b[1].txt")).now).toEqual({ ...without, "b[1].txt": "b\n" });
  expect((await changedBy("**/*.txt")).changed).toEqual(["a.txt", "b[1].txt", "old.txt", "sub/new.txt"]);
  for (const all of ["/home/job", "/"]) expect((await changedBy(all)).now).toEqual(after);
});

test("a file whose name is a folder's now, and the other way round, change their kind with either", async () => {
  const { name: _, ...rest } = files;
  expect((await changedBy("name/in")).now).toEqual({ ...rest, "name/in": "is a folder\n" });
  const { "dir/x": __, "dir/y": ___, ...others } = files;
  expect((await changedBy("dir")).now).toEqual({ ...others, dir: "is a file\n" });
  expect((await changedBy("dir/x")).now).not.toHaveProperty("dir/x");
});

test("paths that no changed file lies under leave nothing, and paths outside the work directory are refused", async () => {
  expect(await changedBy("nowhere")).toEqual({ now: files, unmatched: ["nowhere"], changed: [] });
  expect(() => parsePatterns(["/etc/passwd"], "/home/job")).toThrow("not in the job's work directory /home/job");
});

test("a patch beyond the limit is refused in words that say what to do, and an earlier one stays", async () => {
  writeFileSync(join(root, "large.patch"), "diff --git of before\n");
  const noise = Array.from({ length: 4_000 }, (_, n) => `line ${n}\n`).join("");
  const large = { ...built, tree: await treeOf({ ...files, noise }) };
  await expect(writePatch(store, large, "large.patch", "patch", 16_384)).rejects.toMatchObject({
    code: "collect_failed",
    message:
      'Could not write large.patch: the patch is larger than 16 KiB; name some of the files in paths, or use mode "branch".',
  });
  expect(readdirSync(root).filter((name) => name.includes("partial"))).toEqual([]);
  expect(readFileSync(join(root, "large.patch"), "utf8")).toBe("diff --git of before\n");
});
