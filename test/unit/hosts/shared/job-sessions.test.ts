import { expect, test } from "bun:test";
import {
  createJobSessions,
  JOB_MARK,
  type JobMark,
  type JobSessionsDeps,
  type SessionInfo,
} from "../../../../src/hosts/shared/job-sessions.ts";

const MARK: JobMark = { job: "job_1", orchestrator: "ses_o" };
const job = (id: string): SessionInfo => ({ id, parentID: "ses_o", metadata: { [JOB_MARK]: MARK } });

/** A host that knows these sessions and no other. */
function open(sessions: SessionInfo[], recordedJob: JobSessionsDeps["recordedJob"] = async () => null) {
  const asked: string[] = [];
  const read = async (sessionID: string) => {
    asked.push(sessionID);
    const session = sessions.find(({ id }) => id === sessionID);
    if (!session) throw new Error("NotFoundError");
    return session;
  };
  return { jobSessions: createJobSessions({ read, recordedJob }), asked };
}

test("a job's session and everything below it belong to the job; others to none", async () => {
  const { jobSessions } = open([
    { id: "ses_o" },
    job("ses_j"),
    { id: "ses_sub", parentID: "ses_j" },
    { id: "ses_p", parentID: "ses_o" },
  ]);
  expect(await jobSessions.jobOf("ses_j")).toEqual(MARK);
  expect(await jobSessions.jobOf("ses_sub")).toEqual(MARK);
  expect(await jobSessions.jobOf("ses_o")).toBeNull();
  expect(await jobSessions.jobOf("ses_p")).toBeNull();
});

test("the host is asked once per session, and not at all after an event about it", async () => {
  const { jobSessions, asked } = open([{ id: "ses_o" }]);
  jobSessions.learn(job("ses_j"));
  expect(await jobSessions.jobOf("ses_j")).toEqual(MARK);
  await jobSessions.jobOf("ses_o");
  await jobSessions.jobOf("ses_o");
  expect(asked).toEqual(["ses_o"]);
});

test("a mark once seen stays, whoever rewrites the metadata", async () => {
  const { jobSessions } = open([{ id: "ses_o" }]);
  jobSessions.learn(job("ses_j"));
  jobSessions.learn({ id: "ses_j", parentID: "ses_o", metadata: {} });
  expect(await jobSessions.jobOf("ses_j")).toEqual(MARK);
});

test("a job whose mark was rewritten before it was seen is known from the plugin's own store", async () => {
  const recorded: JobSessionsDeps["recordedJob"] = async (id, parent) =>
    id === "ses_j" && parent === "ses_o" ? MARK : null;
  const { jobSessions } = open([{ id: "ses_o" }, { id: "ses_j", parentID: "ses_o", metadata: {} }], recorded);
  expect(await jobSessions.jobOf("ses_j")).toEqual(MARK);
  expect(await jobSessions.jobOf("ses_o")).toBeNull();
});

test("an unknown session does not count as the user's", async () => {
  const { jobSessions } = open([{ id: "ses_a", parentID: "ses_gone" }]);
  await expect(jobSessions.jobOf("ses_unknown")).rejects.toThrow("ses_unknown");
  await expect(jobSessions.jobOf("ses_a")).rejects.toThrow("ses_gone");
});

test("a forgotten session is asked for again", async () => {
  const { jobSessions, asked } = open([{ id: "ses_o" }]);
  await jobSessions.jobOf("ses_o");
  jobSessions.forget("ses_o");
  await jobSessions.jobOf("ses_o");
  expect(asked.length).toBe(2);
});
