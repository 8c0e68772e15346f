import { expect, test } from "bun:test";
import type { Job } from "../../../../src/core/job.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { renderNotice } from "../../../../src/prompt/notice.ts";
import { inWorld, ORCHESTRATOR, storedJob, type World } from "../runtime-world.ts";

const send = (world: World, job: string, message: string, interrupt = false) =>
  messageJob(world.runtime, ORCHESTRATOR, { job, message, interrupt });

const cancel = async (world: World, id: string) => {
  let returned = false;
  void cancelJobs(world.runtime, ORCHESTRATOR, [id], null).then(() => {
    returned = true;
  });
  await world.clock.until("the cancel returns", () => returned);
  return world.job(id);
};

const notice = ({ job }: World, id: string) => renderNotice([job(id)], 0, () => "mark_1");

test(
  "every turn's answer is told with the end of the job, in order, and once",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 1000 first");
    await world.reaches(id, "running");
    await send(world, id, "say second");
    await send(world, id, "say third");
    const job = await world.reaches(id, "completed");
    expect(job.state).toMatchObject({ result: "third" });
    expect(job.answers).toEqual([
      { turn: 1, text: "first", problem: null },
      { turn: 2, text: "second", problem: null },
    ]);
    expect(notice(world, id)).toMatch(
      /Turn 1 answered:\n<result-1>\nfirst\n.*\nTurn 2 answered:\n<result-1>\nsecond\n.*\nIts last turn answered:\n<result-1>\nthird\n/s,
    );
    await send(world, id, "say fourth");
    const woken = await world.reaches(id, "completed");
    expect([woken.state, woken.answers]).toEqual([expect.objectContaining({ result: "fourth" }), []]);
    expect(storedJob(world, id).answers).toEqual([]);
  }),
);

test(
  "a job whose conversation the user had summarized goes on, and nothing it said is lost",
  inWorld(async (world) => {
    world.sessions.afterStall = "say The parser is fixed.";
    const [id = ""] = await world.start("steps then summary I look at the parser.|I change it.");
    const job = await world.reaches(id, "completed");
    expect(job.state).toMatchObject({ result: "The parser is fixed." });
    expect(job.turns).toBe(1);
    expect(world.sessions.prompts.at(-1)?.text).toContain("The user had this conversation summarized");
  }),
);

test(
  "the answers of earlier turns outlive the process",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 1000 first");
    await world.reaches(id, "running");
    await send(world, id, "work 60000 second");
    await world.clock.until("the first turn has ended", () => world.job(id).answers.length === 1);
    await world.reopen();
    const job = await world.reaches(id, "completed");
    expect(job.answers).toEqual([{ turn: 1, text: "first", problem: null }]);
    expect(job.state).toMatchObject({ result: "second" });
  }),
);

test(
  "a failed or interrupted turn that others follow is told with what it had said",
  inWorld(async (world) => {
    const [id = ""] = await world.start("steps then fail half of it|");
    await world.reaches(id, "running");
    await send(world, id, "steps so far|");
    await send(world, id, "say last");
    const job = await world.reaches(id, "completed");
    const mark = "[This is from an earlier message: the job's last message had no text.]";
    expect(job.answers).toEqual([
      { turn: 1, text: "half of it", problem: "model_error: APIError: APIError happened" },
      { turn: 2, text: `so far\n${mark}`, problem: null },
    ]);
    expect(notice(world, id)).toContain(
      "Turn 1 did not end by itself (model_error: APIError: APIError happened). What it had to say until then:\n<result-1>\nhalf of it\n",
    );
  }),
);

test(
  "a turn without a word is no answer, also where its model reached the output limit",
  inWorld(async (world) => {
    const [empty = "", blank = "", cut = ""] = await world.start("say ", "steps | \u200b ", "cut ");
    for (const id of [empty, blank, cut]) {
      const { state, sandbox } = await world.reaches(id, "failed");
      expect(state).toMatchObject({ failure: { code: "no_answer", retryable: true } });
      expect(sandbox.kind).toBe("live"); // until it is parked as after any other end
    }
    expect(world.job(cut).state).toMatchObject({ failure: { message: expect.stringContaining("output limit") } });
    await send(world, empty, "say the report");
    expect((await world.reaches(empty, "completed")).state).toMatchObject({ result: "the report" });
  }),
);

test(
  "a turn that ends with a call of a tool written as text has failed, and what it said is kept",
  inWorld(async (world) => {
    const text = "I look. <function=sandbox_exec><parameter=command>ls</parameter></function>";
    const [id = ""] = await world.start(`say ${text}`);
    expect((await world.reaches(id, "failed")).state).toMatchObject({
      failure: { code: "model_error", message: expect.stringContaining("sandbox_exec"), retryable: true },
      result: text,
    });
    await send(world, id, "say the report");
    expect((await world.reaches(id, "completed")).state).toMatchObject({ result: "the report" });
  }),
);

test(
  "what a turn had said stays the result of a job that failed, was cancelled or lost its sandbox",
  inWorld(async (world) => {
    const text = "Found it: line 42.";
    const hangs = `steps then hang ${text}|`;
    const [failed = "", cancelled = "", lost = "", left = ""] = await world.start(
      `steps then fail ${text}|`,
      hangs,
      hangs,
      hangs,
    );
    const resultOf = ({ state, answers }: Job) => ["result" in state ? state.result : null, answers];
    expect(resultOf(await world.reaches(failed, "failed"))).toEqual([text, []]);
    await world.clock.advance(1_000);
    expect(resultOf(await cancel(world, cancelled))).toEqual([text, []]);
    expect(notice(world, cancelled)).toContain(`What it had to say until then:\n<result-1>\n${text}\n`);
    const { sandbox } = world.job(lost);
    if (sandbox.kind === "live") world.machine.lose(sandbox.id);
    expect(resultOf(await world.reaches(lost, "failed"))).toEqual([text, []]);
    await world.reopen();
    expect(resultOf(await cancel(world, left))).toEqual([text, []]);
  }),
);

test(
  "a job that never spoke is cancelled without a result",
  inWorld(async (world) => {
    const [id = ""] = await world.start("hang");
    await world.reaches(id, "running");
    expect((await cancel(world, id)).state).not.toHaveProperty("result");
  }),
);
