import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeOldScratch } from "../../../src/workspace/project-store.ts";

test("what killed processes left is removed after a day, and nothing that is kept", async () => {
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
