import { expect, test } from "bun:test";
import { createJobQuestions } from "../../../../src/hosts/opencode-1/job-questions.ts";

function open({ fails = false } = {}) {
  const said: unknown[] = [];
  const complaints: string[] = [];
  const call = (what: string) => async (args: object) => {
    if (fails) throw new Error("gone");
    said.push({ what, ...args });
  };
  const client = { permission: { reply: call("permission") }, question: { reject: call("question") } };
  const kinds = { jobOf: async (id: string) => (id === "ses_job" ? { job: "job_1", orchestrator: "ses_o" } : null) };
  const answer = createJobQuestions(client as never, kinds, (_level, message) => complaints.push(message));
  return { said, complaints, answer };
}

test("in a job the question whether to go on is allowed and every other one refused, with a hint for its model", async () => {
  const { said, answer } = open();
  await answer("permission.asked", { id: "per_1", sessionID: "ses_job", permission: "doom_loop" });
  await answer("permission.asked", { id: "per_2", sessionID: "ses_job", permission: "external_directory" });
  await answer("question.asked", { id: "que_1", sessionID: "ses_job" });
  expect(said).toEqual([
    { what: "permission", requestID: "per_1", reply: "once" },
    { what: "permission", requestID: "per_2", reply: "reject", message: expect.stringContaining("Nobody answers") },
    { what: "question", requestID: "que_1" },
  ]);
});

test("questions in the user's own sessions are left to the user, and a failed answer is logged", async () => {
  const own = open();
  await own.answer("permission.asked", { id: "per_1", sessionID: "ses_user", permission: "bash" });
  await own.answer("permission.replied", { id: "per_1", sessionID: "ses_job", permission: "bash" });
  await own.answer("permission.asked", {});
  expect(own.said).toEqual([]);
  const broken = open({ fails: true });
  await broken.answer("permission.asked", { id: "per_1", sessionID: "ses_job", permission: "bash" });
  expect(broken.complaints).toEqual(["could not answer a question in a job"]);
});
