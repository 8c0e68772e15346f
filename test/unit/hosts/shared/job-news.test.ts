import { expect, test } from "bun:test";
import { createJobNews } from "../../../../src/hosts/shared/job-news.ts";
import type { SessionJobs } from "../../../../src/jobs/session/session-jobs.ts";
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
