import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../src/shared/clock.ts";
import { buildCommits } from "../../../src/workspace/collect/build-commits.ts";
import { readKeptChanges } from "../../../src/workspace/collect/kept-changes.ts";
import { createGit } from "../../../src/workspace/git.ts";
import { captureTree } from "../../../src/workspace/project/capture-tree.ts";
import { identityOf } from "../../../src/workspace/project/identity.ts";
import { openProjectStore } from "../../../src/workspace/project/project-store.ts";
import {
  type JobChanges,
  openPlace,
  placeEnv,
  readChanges,
  saveChanges,
  saveNoChanges,
} from "../../../src/workspace/project/stored-changes.ts";

test("the kept changes of a job are read without its sandbox, whatever its files are called", async () => {
  const git = createGit(systemClock, process.env);
  const [stateDir, root] = [mkdtempSync(join(tmpdir(), "state-")), mkdtempSync(join(tmpdir(), "project-"))];
  const store = await openProjectStore(git, stateDir, { kind: "project", root, isRepository: false, notes: [] });
  expect(await readKeptChanges(git, stateDir, root, "job_1")).toBeNull();

  const place = await openPlace(store, "job_1", "scratch");
  const person = { GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@b", GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@b" };
  const env = { ...placeEnv(store, "job_1", place), ...person };
  const write = async (args: string[], input: string) =>
    (await store.run(args, { env, input: Buffer.from(input) })).toString().trim();
  const commit = async (files: Record<string, string>) => {
    const entries = await Promise.all(
      Object.entries(files).map(
        async ([name, text]) => `100644 blob ${await write(["hash-object", "-w", "--stdin"], text)}\t${name}\0`,
      ),
    );
    return write(["commit-tree", await write(["mktree", "-z"], entries.join("")), "-m", "x"], "");
  };
  const base = await commit({ "a.txt": "old\n", "gone.txt": "x\n" });
  const tip = await commit({ "a.txt": "new\n", "two\nlines": "y\n" });
  const none = { leftOut: [], unread: [], unborn: [], special: [], ignored: [], emptyFolders: [], elsewhere: [] };
  await saveChanges(store, "job_1", { base, tip, commits: [tip], ...none, unlisted: 0, squashed: 0, place });

  const kept = await readKeptChanges(git, stateDir, root, "job_1");
  expect(kept?.files).toEqual([
    { change: "M", path: "a.txt" },
    { change: "D", path: "gone.txt" },
    { change: "A", path: "two\nlines" },
  ]);
  expect(kept?.diff).toContain("-old\n+new\n");
  expect(kept?.isCut).toBe(false);
});

test("of a job that has changed nothing no more is kept than that, and it is collected like any other", async () => {
  const git = createGit(systemClock, process.env);
  const [stateDir, root] = [mkdtempSync(join(tmpdir(), "state-")), mkdtempSync(join(tmpdir(), "project-"))];
  writeFileSync(join(root, "a.txt"), "a\n");
  const store = await openProjectStore(git, stateDir, { kind: "project", root, isRepository: false, notes: [] });
  const base = await captureTree(store, "tree");
  await saveNoChanges(store, "job_1", base.commit, "first");
  await saveNoChanges(store, "job_1", base.commit, "second");
  expect(readdirSync(join(store.folder, "jobs/job_1"))).toEqual(["work.json"]);
  expect(await readKeptChanges(git, stateDir, root, "job_1")).toEqual({ files: [], diff: "", isCut: false });
  const changes = (await readChanges(store, "job_1")) as JobChanges;
  const built = await buildCommits({
    ...{ store, base, changes, jobID: "job_1", scratchID: "build" },
    identity: await identityOf(store),
  });
  expect([built.commits, built.changed, built.tree]).toEqual([[], [], base.tree]);
});
