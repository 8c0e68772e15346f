import { expect, test } from "bun:test";
import type { Job } from "../../../../src/core/job.ts";
import { createProjectTrees, type ProjectTreesDeps } from "../../../../src/jobs/project/trees.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { jobIn } from "../../views/job-in.ts";

test("a base that cannot be recorded, as after its session was deleted, is logged and goes no further", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  try {
    const logged: unknown[] = [];
    const deps = {
      directory: null,
      environments: { default: { workspace: "project" } },
      log: (level: string, message: string, data: object) => logged.push([level, message, data]),
    };
    const trees = createProjectTrees(deps as unknown as ProjectTreesDeps);
    const sessionJobs = {
      update() {
        throw new Error("the store is closed");
      },
    };
    const jobs = ["job_1", "job_2"].map((id) => jobIn({ kind: "queued" }, { id }));
    trees.capture(sessionJobs as unknown as SessionJobs, jobs);
    await trees.current();
    await new Promise((resolve) => setImmediate(resolve));
    const warning = (jobID: string) => [
      "warn",
      "could not record the project files that a job starts from",
      { jobID, reason: "Error: the store is closed" },
    ];
    expect(logged).toEqual(["job_1", "job_2"].map(warning));
    expect(unhandled).toEqual([]);
  } finally {
    process.off("unhandledRejection", onUnhandled);
  }
});

test("files that could not be taken fail the jobs that wait for them once: whoever is woken has them taken anew", async () => {
  let tries = 0;
  const deps = {
    directory: "/nowhere",
    environments: { default: { workspace: "project" } },
    git: { read: () => Promise.reject(new Error(`try ${++tries} failed`)) },
    env: {},
    log: () => {},
  };
  const trees = createProjectTrees(deps as unknown as ProjectTreesDeps);
  const job: Job = jobIn({ kind: "queued" }, {});
  const sessionJobs = { update: () => job } as unknown as SessionJobs;
  trees.capture(sessionJobs, [job]);
  const start = () => trees.startingPoint(sessionJobs, job, {} as never, new AbortController().signal);
  const first = await start().catch((error: Error) => error.message);
  const second = await start().catch((error: Error) => error.message);
  expect([first, second]).toEqual([expect.stringContaining("try 1"), expect.stringContaining("try 2")]);
});
