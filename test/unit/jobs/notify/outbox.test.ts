import { expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import type { Runtime } from "../../../../src/jobs/runtime.ts";
import { settle } from "../../../support/fake-clock.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const CALL = { messageID: "msg_0", callID: "call_1" };
/** The ended jobs that a message tells of: "job_1 completed, job_2 failed". */
const endsIn = (text: string): string =>
  [...text.matchAll(/<job id="(\w+)" state="(\w+)">/g)].map(([, id, state]) => `${id} ${state}`).join(", ");
const texts = ({ orchestrators }: World) => orchestrators.posts.map(({ text }) => endsIn(text));
const attached = async ({ runtime }: World) => endsIn((await runtime.outbox.attach(ORCHESTRATOR, "msg_user")) ?? "");
const claim = ({ runtime }: World, ids: string[], call = CALL) => runtime.outbox.claim(ORCHESTRATOR, ids, call);
const untold = async ({ runtime }: World) => (await runtime.sessionJobs(ORCHESTRATOR)).notices().length;
/** Lets time pass until nobody has anything to do, and expects that all was told by then. */
const allTold = async (world: World) => {
  await world.clock.advance(600_000);
  expect(await untold(world)).toBe(0);
};
const resume = (value: boolean) => ({ notify: { resume: value } });

test(
  "an idle session is told of a job's end by one message, half a second later",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(490);
    expect(world.orchestrators.posts).toEqual([]);
    await world.clock.advance(20);
    expect(texts(world)).toEqual([`${id} completed`]);
    await allTold(world);
    expect(texts(world).length).toBe(1);
  }),
);

test(
  "jobs that end within half a second are told of together, later ones apart",
  inWorld(async (world) => {
    const ids = await world.start("say 1", "work 300 2", "fail APIError", "work 3000 4");
    await world.clock.advance(10_000);
    const [a, b, c, d] = ids;
    expect(texts(world)).toEqual([`${a} completed, ${c} failed, ${b} completed`, `${d} completed`]);
  }),
);

test(
  "a refused task was told of by the call that asked for it",
  inWorld(async (world) => {
    const [id = ""] = await world.start({ description: "bad", problem: "it is bad" });
    expect(world.job(id).state.kind).toBe("failed");
    await world.clock.advance(10_000);
    expect(world.orchestrators.posts).toEqual([]);
  }),
);

test(
  "what a waiting call returns is not sent, what ends after it is",
  inWorld(async (world) => {
    const [first = "", second = ""] = await world.start("say 1", "work 5000 2");
    const release = world.runtime.outbox.hold(ORCHESTRATOR, [first, second]);
    await world.reaches(first, "completed");
    await world.clock.advance(2_000);
    expect(world.orchestrators.posts).toEqual([]);
    world.orchestrators.busy = true;
    expect((await claim(world, [first])).map(({ id }) => id)).toEqual([first]);
    release();
    world.orchestrators.setTrace(CALL.callID, "arrived");
    expect(await claim(world, [first])).toEqual([]);
    await world.reaches(second, "completed");
    await world.clock.advance(10_000);
    expect(texts(world)).toEqual([`${second} completed`]);
  }),
);

test(
  "an answer that the session threw away is told by a message",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    const release = world.runtime.outbox.hold(ORCHESTRATOR, [id]);
    await world.reaches(id, "completed");
    world.orchestrators.setTrace(CALL.callID, "open");
    await claim(world, [id]);
    release();
    world.orchestrators.setTrace(CALL.callID, "lost");
    await world.clock.advance(3_000);
    expect(texts(world)).toEqual([`${id} completed`]);
  }),
);

test(
  "an answer whose process died before it was stored is told after the restart",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    const release = world.runtime.outbox.hold(ORCHESTRATOR, [id]);
    await world.reaches(id, "completed");
    world.orchestrators.setTrace(CALL.callID, "open"); // as the host leaves it for good
    await claim(world, [id]);
    await world.reopen();
    release();
    await world.clock.advance(10_000);
    expect(texts(world)).toEqual([`${id} completed`]);
  }),
);

test(
  "a message that was not stored is sent again under the same id",
  inWorld(async (world) => {
    world.orchestrators.losesPosts = true;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600);
    await world.reopen();
    world.orchestrators.losesPosts = false;
    await allTold(world);
    const ids = world.orchestrators.posts.map(({ messageID }) => messageID);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  }),
);

test(
  "it is sent under a new id once the session has gone on, or it would stand before what it answers",
  inWorld(async (world) => {
    world.orchestrators.losesPosts = true;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600);
    world.orchestrators.losesPosts = false;
    world.orchestrators.setTrace("msg_ffffffffffff", "arrived");
    await world.clock.advance(10_000);
    const [first, second, ...more] = world.orchestrators.posts;
    expect([endsIn(first?.text ?? ""), endsIn(second?.text ?? ""), more]).toEqual([
      `${id} completed`,
      `${id} completed`,
      [],
    ]);
    expect(second?.messageID).not.toBe(first?.messageID as string);
  }),
);

test(
  "a session that took no notice is woken again, ever more rarely, and then left alone",
  inWorld(async (world) => {
    world.orchestrators.neverWakes = true;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await allTold(world);
    const [first, ...again] = texts(world);
    expect(first).toBe(`${id} completed`);
    expect(again.length).toBe(5);
    for (const text of again) expect(text).not.toContain(id);
  }),
);

test(
  "a busy session gets the message at once and is not woken",
  inWorld(async (world) => {
    world.orchestrators.busy = true;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600_000);
    expect(texts(world)).toEqual([`${id} completed`]);
    world.orchestrators.setTrace(world.orchestrators.posts[0]?.messageID as string, "arrived");
    await allTold(world);
  }),
);

test(
  "with notify.resume false an idle session is left alone, and told with the user's next message",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600_000);
    expect(world.orchestrators.posts).toEqual([]);
    expect(await attached(world)).toBe(`${id} completed`);
    world.orchestrators.setTrace("msg_user", "unanswered");
    expect(await world.runtime.outbox.attach(ORCHESTRATOR, "msg_user2")).toBeNull();
    await allTold(world);
    expect(world.orchestrators.posts).toEqual([]);
  }, resume(false)),
);

test(
  "a user's message that was never stored carried nothing",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    expect(await attached(world)).toBe(`${id} completed`);
    await world.clock.advance(10_000);
    expect(texts(world)).toEqual([`${id} completed`]);
    expect(
      await world.runtime.outbox.attach(ORCHESTRATOR, world.orchestrators.posts[0]?.messageID as string),
    ).toBeNull();
  }),
);

test(
  "a session whose turn the user stopped is not started again by what had ended before",
  inWorld(async (world) => {
    const [first = "", second = ""] = await world.start("say 1", "work 60000 2");
    const release = world.runtime.outbox.hold(ORCHESTRATOR, [first, second]);
    await world.reaches(first, "completed");
    world.orchestrators.stoppedAt = world.clock.now() + 1;
    release();
    await world.clock.advance(50_000);
    expect(world.orchestrators.posts).toEqual([]);
    await world.clock.advance(20_000);
    expect(texts(world)).toEqual([`${first} completed, ${second} completed`]);
  }),
);

test(
  "each end of a job is told, with what came out then",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    world.orchestrators.onCall = (name) => {
      if (name === "view") throw new Error("not today");
    };
    await world.reaches(id, "completed");
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say 2", interrupt: false });
    await world.reaches(id, "completed");
    const ended = await claim(world, [id]);
    expect(ended.map(({ state }) => state.kind === "completed" && state.result)).toEqual(["1", "2"]);
  }),
);

test(
  "a session that cannot be read is asked again, for a while, and loses nothing",
  inWorld(async (world) => {
    let calls = 0;
    world.orchestrators.onCall = () => {
      calls++;
      throw new Error("not today");
    };
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600_000);
    expect(calls).toBe(5);
    world.orchestrators.onCall = () => {};
    world.sessions.emit({ kind: "touched", sessionID: ORCHESTRATOR });
    await world.clock.advance(1_000);
    expect(texts(world)).toEqual([`${id} completed`]);
  }),
);

test(
  "two processes that use one session tell it once",
  inWorld(async (world) => {
    const other: Runtime = await world.open();
    const [id = ""] = await world.start("work 3000 1");
    await world.reaches(id, "running");
    await other.sessionJobs(ORCHESTRATOR);
    await world.reaches(id, "completed");
    await world.clock.advance(30_000);
    await settle();
    expect(new Set(world.orchestrators.posts.map(({ messageID }) => messageID)).size).toBe(1);
  }),
);
