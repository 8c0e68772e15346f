import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type CollectChangesDeps, collectChanges } from "../../../../src/jobs/actions/collect-changes.ts";
import { renderCollected } from "../../../../src/prompt/collected.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { createGit } from "../../../../src/workspace/git.ts";
import { captureTree } from "../../../../src/workspace/project/capture-tree.ts";
import { openProjectStore } from "../../../../src/workspace/project/project-store.ts";
import { openPlace, placeEnv, saveChanges } from "../../../../src/workspace/project/stored-changes.ts";

const [stateDir, root] = [mkdtempSync(join(tmpdir(), "state-")), mkdtempSync(join(tmpdir(), "project-"))];
afterAll(() => {
  for (const path of [stateDir, root]) rmSync(path, { recursive: true, force: true });
});

const git = createGit(systemClock, process.env);
const own = (...args: string[]) => git.read({ args, cwd: root, config: "none" });
await own("init", "--quiet", "-b", "main");
const store = await openProjectStore(git, stateDir, { kind: "project", root, isRepository: true, notes: [] });
writeFileSync(join(root, "a.txt"), "a\n");
const base = await captureTree(store, "tree");

/** Records that a job has added a file. */
async function change(jobID: string, name: string): Promise<string> {
  const place = await openPlace(store, jobID, "work");
  const person = { GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@b", GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@b" };
  const env = { ...placeEnv(store, jobID, place), ...person };
  const write = async (args: string[], input: string) =>
    (await store.run(args, { env, input: Buffer.from(input) })).toString().trim();
  const blob = await write(["hash-object", "-w", "--stdin"], `${jobID}\n`);
  const old = await store.run(["ls-tree", base.commit]);
  const tree = await write(["mktree"], `${old}100644 blob ${blob}\t${name}\n`);
  const tip = await write(["commit-tree", tree, "-p", base.commit, "-m", "Add"], "");
  const none = { leftOut: [], unread: [], unborn: [], special: [], ignored: [], emptyFolders: [], elsewhere: [] };
  await saveChanges(store, jobID, { base: base.commit, tip, commits: [tip], ...none, unlisted: 0, squashed: 0, place });
  return placeEnv(store, jobID, place).GIT_OBJECT_DIRECTORY as string;
}

test("a branch that is written is told, also where the project has become too large and another job's changes are lost", async () => {
  await change("job_1", "b.txt");
  rmSync(await change("job_2", "b.txt"), { recursive: true });
  await change("job_3", "b.txt");
  writeFileSync(join(root, "dataset.bin"), "");
  truncateSync(join(root, "dataset.bin"), 1_100 * 1024 ** 2);
  const jobs = ["job_1", "job_2", "job_3"].map((id) => ({ id, base, formerBases: [], notes: [] }));
  const sessionJobs = {
    orchestrator: "ses_1",
    all: () => jobs,
    get: (id: string) => jobs.find((job) => job.id === id),
  };
  let count = 0;
  const deps = {
    trees: { store: async () => store },
    jobFiles: { read: (_: unknown, __: string, { kept }: { kept(): unknown }) => kept() },
    clock: systemClock,
    ids: (kind: string) => `${kind}_${++count}`,
    sessionJobs: async () => sessionJobs,
    ledger: { saveBranch: async () => {} },
  } as unknown as CollectChangesDeps;
  const collected = await collectChanges(deps, "ses_1", "job_1", { mode: "branch" });
  expect(collected.branch).toBe("agents/job_1");
  expect([...collected.overlaps]).toEqual([["job_3", ["b.txt"]]]);
  const { output } = renderCollected({ ...collected, built: { ...collected.built, attention: [] } }, null);
  expect(output).toMatch(/Whether it merges cleanly is not known: The project .* is too large.*dataset\.bin/);
  expect(output).toMatch(/Whether other jobs have changed the same files is not known .*: job_2\./);
});
