import { expect, test } from "bun:test";
import { JOB_MARK } from "../../../../src/hosts/opencode-1/child-sessions.ts";
import type { HostClient } from "../../../../src/hosts/opencode-1/host-client.ts";
import {
  createSessionKinds,
  type JobMark,
  type RecordedJob,
  type SessionInfo,
} from "../../../../src/hosts/opencode-1/session-kinds.ts";

const MARK: JobMark = { job: "job_1", orchestrator: "ses_o" };
const job = (id: string): SessionInfo => ({ id, parentID: "ses_o", metadata: { [JOB_MARK]: MARK } });

/** A host that knows these sessions and no other. */
function open(sessions: SessionInfo[], recorded: RecordedJob = async () => null) {
  const asked: string[] = [];
  const client = {
    session: {
      get: async ({ sessionID }: { sessionID: string }) => {
        asked.push(sessionID);
        const data = sessions.find(({ id }) => id === sessionID);
        return data ? { data } : { error: { name: "NotFoundError" } };
      },
    },
  } as unknown as HostClient;
  return { kinds: createSessionKinds(client, recorded), asked };
}

test("a job's session and everything below it belong to the job; others to none", async () => {
  const { kinds } = open([
    { id: "ses_o" },
    job("ses_j"),
    { id: "ses_sub", parentID: "ses_j" },
    { id: "ses_p", parentID: "ses_o" },
  ]);
  expect(await kinds.jobOf("ses_j")).toEqual(MARK);
  expect(await kinds.jobOf("ses_sub")).toEqual(MARK);
  expect(await kinds.jobOf("ses_o")).toBeNull();
  expect(await kinds.jobOf("ses_p")).toBeNull();
});

test("a session is asked for once, and not at all when an event told of it", async () => {
  const { kinds, asked } = open([{ id: "ses_o" }]);
  kinds.learn(job("ses_j"));
  expect(await kinds.jobOf("ses_j")).toEqual(MARK);
  await kinds.jobOf("ses_o");
  await kinds.jobOf("ses_o");
  expect(asked).toEqual(["ses_o"]);
});

test("a mark once seen stays, whoever rewrites the metadata", async () => {
  const { kinds } = open([{ id: "ses_o" }]);
  kinds.learn(job("ses_j"));
  kinds.learn({ id: "ses_j", parentID: "ses_o", metadata: {} });
  expect(await kinds.jobOf("ses_j")).toEqual(MARK);
});

test("a job whose mark was rewritten before we saw it is known from our own store", async () => {
  const recorded: RecordedJob = async (id, parent) => (id === "ses_j" && parent === "ses_o" ? MARK : null);
  const { kinds } = open([{ id: "ses_o" }, { id: "ses_j", parentID: "ses_o", metadata: {} }], recorded);
  expect(await kinds.jobOf("ses_j")).toEqual(MARK);
  expect(await kinds.jobOf("ses_o")).toBeNull();
});

test("a session that the host does not know is not taken for harmless", async () => {
  const { kinds } = open([{ id: "ses_a", parentID: "ses_gone" }]);
  await expect(kinds.jobOf("ses_unknown")).rejects.toThrow("ses_unknown");
  await expect(kinds.jobOf("ses_a")).rejects.toThrow("ses_gone");
});

test("a forgotten session is asked for again", async () => {
  const { kinds, asked } = open([{ id: "ses_o" }]);
  await kinds.jobOf("ses_o");
  kinds.forget("ses_o");
  await kinds.jobOf("ses_o");
  expect(asked.length).toBe(2);
});
