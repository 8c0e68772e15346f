import { expect, test } from "bun:test";
import type { SessionEvent } from "../../../../src/core/ports.ts";
import { inOne } from "../../../../src/hosts/opencode-1/job-instance.ts";
import { createJobQuestions } from "../../../../src/hosts/opencode-1/job-questions.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";

function open() {
  const clock = createFakeClock();
  const said: unknown[] = [];
  const events: SessionEvent[] = [];
  const complaints: string[] = [];
  const pending = { permissions: [] as object[], questions: [] as object[] };
  const host = { fails: false };
  const call = (what: string) => async (args: { requestID: string }) => {
    if (host.fails) return { error: { name: "Gone" } };
    said.push({ what, ...args });
    for (const list of Object.values(pending)) {
      const at = list.findIndex((one) => (one as { id?: string }).id === args.requestID);
      if (at >= 0) list.splice(at, 1);
    }
    return { data: true };
  };
  const list = (kind: keyof typeof pending) => async () => ({ data: [...pending[kind]] });
  const client = {
    permission: { reply: call("permission"), list: list("permissions") },
    question: { reply: call("question"), list: list("questions") },
  };
  const mark = { job: "job_1", orchestrator: "ses_o" };
  const jobSessions = { jobOf: async (id: string) => (id === "ses_job" || id === "ses_below" ? mark : null) };
  const questions = createJobQuestions({
    instances: inOne(client as never),
    jobSessions,
    emit: (event) => events.push(event),
    clock,
    log: (_level, message) => complaints.push(message),
  });
  return { clock, said, events, complaints, pending, host, questions };
}

const LOOP = { id: "per_1", sessionID: "ses_job", permission: "doom_loop" };
const answered = (question: string, isAllowed: boolean, sessionID = "ses_job") =>
  ({ kind: "answered", sessionID, jobID: "job_1", orchestrator: "ses_o", question, isAllowed }) as const;

test("in a job the question whether to go on is allowed and every other one refused, in words for its model", async () => {
  const { said, events, questions } = open();
  await questions.hear("permission.asked", LOOP);
  await questions.hear("permission.asked", { id: "per_2", sessionID: "ses_below", permission: "external_directory" });
  await questions.hear("question.asked", { id: "que_1", sessionID: "ses_job", questions: [{}, {}] });
  const words = expect.stringContaining("Nobody answers");
  expect(said).toEqual([
    { what: "permission", requestID: "per_1", reply: "once" },
    { what: "permission", requestID: "per_2", reply: "reject", message: words },
    { what: "question", requestID: "que_1", answers: [[words], [words]] },
  ]);
  expect(events.filter(({ kind }) => kind === "answered")).toEqual([
    answered("doom_loop", true),
    answered("external_directory", false, "ses_below"),
    answered("question", false),
  ]);
});

test("questions in the user's own sessions are left to the user", async () => {
  const { clock, said, events, pending, questions } = open();
  const own = { id: "per_1", sessionID: "ses_user", permission: "bash" };
  pending.permissions.push(own);
  await questions.hear("permission.asked", own);
  await questions.hear("permission.replied", { requestID: "per_1", sessionID: "ses_job" });
  await questions.hear("permission.asked", {});
  questions.keepLooking();
  await clock.advance(60_000);
  expect([said, events]).toEqual([[], []]);
});

test("a question whose event was lost, or whose answer failed, is answered within seconds while jobs are followed", async () => {
  const { clock, said, events, complaints, pending, host, questions } = open();
  pending.permissions.push({ ...LOOP, id: "per_lost" });
  pending.questions.push({ id: "que_lost", sessionID: "ses_below", questions: [{}] });
  questions.keepLooking();
  await clock.advance(5_000);
  expect(said).toMatchObject([{ requestID: "per_lost" }, { requestID: "que_lost" }]);

  host.fails = true;
  pending.permissions.push(LOOP);
  await questions.hear("permission.asked", LOOP);
  expect(complaints).toEqual(["could not answer a question in a job"]);
  const isOpen = () => events.findLast((event) => event.kind === "question");
  expect(isOpen()).toMatchObject({ request: "per_1", isOpen: true });
  host.fails = false;
  questions.keepLooking();
  await clock.advance(5_000);
  expect(said.at(-1)).toEqual({ what: "permission", requestID: "per_1", reply: "once" });
  expect(isOpen()).toMatchObject({ request: "per_1", isOpen: false });
});

test("nothing is asked of the host once no job is followed any more", async () => {
  const { clock, said, pending, questions } = open();
  questions.keepLooking();
  await clock.advance(60_000);
  pending.permissions.push(LOOP);
  await clock.advance(60_000);
  expect(said).toEqual([]);
});

test("nothing is asked of the host once its instance is disposed", async () => {
  const { clock, said, pending, questions } = open();
  questions.keepLooking();
  pending.permissions.push(LOOP);
  questions.stop();
  questions.keepLooking();
  await clock.advance(60_000);
  expect(said).toEqual([]);
});
