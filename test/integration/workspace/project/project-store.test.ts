import { expect, test } from "bun:test";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../../src/shared/clock.ts";
import { createGit } from "../../../../src/workspace/git.ts";
import { openProjectStore, removeOldScratch, storeFolder } from "../../../../src/workspace/project/project-store.ts";
import { removeChanges } from "../../../../src/workspace/project/stored-changes.ts";

test("scratch files of killed processes are removed after a day, and nothing else", async () => {
  const folder = mkdtempSync(join(tmpdir(), "scratch-"));
  const kept = ["git", "index", "branch.job_1", "job_1"];
  const scratch = ["send.send_1", "pack.pack_1", "index.tree_1", "user-index.tree_1", "job_1.work_1"];
  for (const name of ["git", "job_1", "job_1.work_1"]) mkdirSync(join(folder, name));
  for (const name of [...kept, ...scratch].filter((one) => !/^(git|job_1)/.test(one)))
    writeFileSync(join(folder, name), "x");
  const now = statSync(folder).ctimeMs;
  await removeOldScratch(folder, now + 23 * 3600_000);
  expect(readdirSync(folder).sort()).toEqual([...kept, ...scratch].sort());
  await removeOldScratch(folder, now + 25 * 3600_000);
  expect(readdirSync(folder).sort()).toEqual(kept.sort());
  rmSync(folder, { recursive: true });
});

/** Lets a test replace parts of a project's store by links before it is opened. */
async function withStore(use: (open: () => Promise<void>, folder: string, outside: string, stateDir: string) => Promise<void>) {
  const root = mkdtempSync(join(tmpdir(), "project-store-"));
  const [stateDir, project, outside] = ["state", "project", "outside"].map((name) => join(root, name)) as [string, string, string];
  for (const path of [project, outside]) mkdirSync(path);
  const git = createGit(systemClock, process.env);
  const open = async () => {
    await openProjectStore(git, stateDir, { kind: "project", root: project, isRepository: false, notes: [] });
  };
  try {
    await use(open, storeFolder(stateDir, project), outside, stateDir);
  } finally {
    rmSync(root, { recursive: true });
  }
} // biome-ignore format: one line

test.each(["", "git", "git/info", "git/objects", "git/objects/info", "jobs", ".."])(
  "a link in place of %p in the store is refused, and nothing is written through it",
  (name) =>
    withStore(async (open, folder, outside) => {
      await open();
      const path = join(folder, name);
      rmSync(path, { recursive: true, force: true });
      symlinkSync(outside, path);
      await expect(open()).rejects.toMatchObject({
        code: "config_invalid",
        message: expect.stringContaining("it is a link"),
      });
      expect(readdirSync(outside)).toEqual([]);
    }),
);

test("files of the store that are links are replaced, not written through, and only its user has access", () =>
  withStore(async (open, folder, outside, stateDir) => {
    await open();
    const mine = join(outside, "mine");
    writeFileSync(mine, "precious");
    rmSync(join(folder, "git/info/attributes"));
    symlinkSync(mine, join(folder, "git/info/attributes"));
    await open();
    expect(readFileSync(mine, "utf8")).toBe("precious");
    for (const path of [join(stateDir, "workspace"), folder]) expect(statSync(path).mode & 0o077).toBe(0);
  }));

test("the stored changes of a job are not looked for through a link", () =>
  withStore(async (open, folder, outside, stateDir) => {
    await open();
    mkdirSync(join(outside, "job_1"));
    symlinkSync(outside, join(folder, "jobs"));
    const project = join(stateDir, "../project");
    expect(() => removeChanges({ folder: storeFolder(stateDir, project) }, "job_1")).toThrow("it is a link");
    expect(readdirSync(outside)).toEqual(["job_1"]);
  }));
