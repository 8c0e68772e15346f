import { expect } from "bun:test";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tableOf } from "../../../../src/config/prices.ts";
import { defaultOptions } from "../../../../src/config/schema.ts";
import type { Job } from "../../../../src/core/job.ts";
import { createLimits } from "../../../../src/core/limits.ts";
import { createProjectTrees } from "../../../../src/jobs/project/trees.ts";
import { createFirstSandbox, type SourcesDeps } from "../../../../src/jobs/sandbox/create-or-revive.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";
import { systemClock } from "../../../../src/shared/clock.ts";
import { createGit } from "../../../../src/workspace/git.ts";
import { modalProvider, useModalServer } from "../../../contract/modal-support.ts";
import { sh } from "../../../contract/sandbox-shell.ts";
import { modalTest } from "../../../support/modal-test.ts";
import { jobIn } from "../../../unit/views/job-in.ts";

const modal = useModalServer();

const DAY_MS = 86_400_000;

modalTest("a project's files are prepared anew when they are due, and unnoticed when they have expired", async () => {
  const folder = mkdtempSync(join(tmpdir(), "trees-"));
  const project = join(folder, "project");
  mkdirSync(project);
  writeFileSync(join(project, "main.txt"), "of the project");
  const git = (...args: string[]) => execFileSync("git", ["-C", project, ...args]);
  git("init", "-q");
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const pool = await openPoolStore(join(folder, "state"));
  let count = 0;
  const ids = (prefix: string) => `${prefix}_${process.pid}_${++count}`;
  const options = defaultOptions(join(folder, "state"));
  const { environments } = options;
  const limits = createLimits(options, tableOf);
  const images = { get: async () => null, forget() {} };
  const shared = { stateDir: join(folder, "state"), environments, pool, limits, clock, ids, images, log: () => {} };
  const trees = createProjectTrees({ ...shared, directory: project, git: createGit(clock, process.env) });
  const provider = modalProvider({ clock });
  const snapshots = { find: () => null, renew: async () => {}, list: () => [] };
  const deps = {
    ...shared, trees, snapshots, hostEnv: {}, leases: { claimGpu: () => true },
    sources: { frozen: async (_: SessionJobs, job: Job) => job },
  } as unknown as SourcesDeps; // biome-ignore format: one value

  const filesOfNewJob = async () => {
    const job: Job = jobIn({ kind: "queued" }, { id: ids("job"), base: null, sandbox: { kind: "none" } });
    const sessionJobs = {
      get: () => job,
      all: () => [job],
      update: (_: string, change: (job: Job) => Job) => change(job),
    };
    const { signal } = new AbortController();
    const { sandbox } = await createFirstSandbox(deps, sessionJobs as unknown as SessionJobs, provider, job, signal);
    const { stdout } = await sh(sandbox, "cat main.txt");
    await sandbox.terminate();
    return stdout;
  };
  const taken = async () => (await modal().calls()).filter(({ method }) => method === "TaskSnapshotFilesystem").length;
  try {
    // The job does not wait until the sandbox in which its files were put in place has ended.
    await modal().faults.add({ method: "SandboxTerminateV2", delayMs: 15_000 });
    expect([await filesOfNewJob(), await filesOfNewJob(), await taken()]).toEqual([
      "of the project",
      "of the project",
      1,
    ]);
    expect(await modal().sandboxes({ live: true })).toHaveLength(1); // that one, whose end is still on its way

    aheadMs = 25 * DAY_MS; // due
    expect([await filesOfNewJob(), await filesOfNewJob(), await taken()]).toEqual([
      "of the project",
      "of the project",
      2,
    ]);

    // Expired at Modal before it is due by our record, which shows only at the first command.
    const said = { code: 9, message: "Image im-1 of this sandbox has expired" };
    await modal().faults.add({ method: "TaskExecStart", ...said });
    expect([await filesOfNewJob(), await taken()]).toEqual(["of the project", 3]);

    aheadMs = 90 * DAY_MS; // all have expired
    expect([await filesOfNewJob(), await taken()]).toEqual(["of the project", 4]);
  } finally {
    await trees.suspend();
    await provider.close();
    pool.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
