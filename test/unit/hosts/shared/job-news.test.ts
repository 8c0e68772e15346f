import { expect, test } from "bun:test";
import { createJobNews } from "../../../../src/hosts/shared/job-news.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
import { followRuns, startRuns } from "../../jobs/nested-support.ts";
import { inWorld } from "../../jobs/runtime-world.ts";
import { jobIn } from "../../views/job-in.ts";

/** @param jobs null for a session that never had jobs */
function open(jobs: readonly object[] | null, attach: () => Promise<string | null> = async () => "news") {
  const complaints: string[] = [];
  let opened = 0;
  const news = createJobNews({
    access: {
      async runtime() {
        opened++;
        return { outbox: { attach }, clock: { now: () => 0 } } as never;
      },
      opened: () => null,
    },
    recorded: { startedBy: async () => jobs && ({ all: () => jobs } as unknown as SessionJobs) },
    log: (_level, message) => complaints.push(message),
  });
  return { news, complaints, opened: () => opened };
}

test("a session that never had jobs hears nothing and opens nothing", async () => {
  const { news, opened } = open(null);
  expect([await news.forMessage("ses_1", "msg_1"), await news.forSummary("ses_1"), opened()]).toEqual([null, null, 0]);
});

test("a message carries the news of jobs, a summary the list of jobs", async () => {
  const { news } = open([jobIn({ kind: "completed", result: "42" })]);
  expect(await news.forMessage("ses_1", "msg_1")).toBe("news");
  expect(await news.forSummary("ses_1")).toContain("Keep this list in the summary");
  expect(await open([]).news.forSummary("ses_1")).toBeNull();
});

test("a failure is logged and does not stop the user", async () => {
  const { news, complaints } = open([], () => Promise.reject(new Error("the disk is full")));
  expect(await news.forMessage("ses_1", "msg_1")).toBeNull();
  expect(complaints).toEqual(["could not tell a session of its jobs"]);
});

test(
  "a summary of a job's own conversation keeps the runs that its agent has started, and no jobs of others",
  inWorld(async (world) => {
    const started = followRuns(world);
    const [id = "", other = ""] = await world.start("hang", "hang too");
    const { childSession } = await world.reaches(id, "running");
    await world.reaches(other, "running");
    const complaints: string[] = [];
    const news = createJobNews({
      access: { runtime: async () => world.runtime, opened: async () => world.runtime },
      recorded: { startedBy: async () => null },
      log: (_level, message) => complaints.push(message),
    });
    expect(await news.forSummary(childSession ?? "")).toBeNull();
    const [first = "", second = ""] = await startRuns(world, id, 2);
    await world.clock.until("both run", () => started.length === 2);
    started[0]?.print("accuracy is 0.93\n");
    started[0]?.end({ kind: "exited", code: 0 });
    await world.reaches(first, "completed");
    const text = (await news.forSummary(childSession ?? "")) ?? "";
    expect(text).toContain("Keep this list in the summary");
    expect(text).toMatch(new RegExp(`${first}.*accuracy is 0.93`));
    expect(text).toContain(second);
    expect(text).toContain("results are still to come");
    expect(text).not.toContain(other);
    expect(complaints).toEqual([]);
  }),
);
