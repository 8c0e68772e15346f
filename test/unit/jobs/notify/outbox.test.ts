import { expect, test } from "bun:test";
import { settle } from "../../../support/fake-clock.ts";
import { inWorld, ORCHESTRATOR } from "../runtime-world.ts";
import { endsIn, expectAllDelivered, sentEnds } from "./outbox-support.ts";

/* Ends of jobs that are reported by a message of the plugin's own. */

test(
  "an idle session gets one message about a job's end, half a second later",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(490);
    expect(world.orchestrators.posts).toEqual([]);
    await world.clock.advance(20);
    expect(sentEnds(world)).toEqual([`${id} completed`]);
    await expectAllDelivered(world);
    expect(sentEnds(world).length).toBe(1);
  }),
);

test(
  "jobs that end within half a second share one message, and a later one gets its own",
  inWorld(async (world) => {
    const ids = await world.start("say 1", "work 300 2", "fail APIError", "work 3000 4");
    await world.clock.advance(10_000);
    const [a, b, c, d] = ids;
    expect(sentEnds(world)).toEqual([`${a} completed, ${c} failed, ${b} completed`, `${d} completed`]);
  }),
);

test(
  "a refused task gets no message, since the call that asked for it has reported it",
  inWorld(async (world) => {
    const [id = ""] = await world.start({ description: "bad", problem: "it is bad" });
    expect(world.job(id).state.kind).toBe("failed");
    await world.clock.advance(10_000);
    expect(world.orchestrators.posts).toEqual([]);
  }),
);

test(
  "a message that the host did not store is sent again under the same id",
  inWorld(async (world) => {
    world.orchestrators.losesPosts = true;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600);
    await world.reopen();
    world.orchestrators.losesPosts = false;
    await expectAllDelivered(world);
    const ids = world.orchestrators.posts.map(({ messageID }) => messageID);
    expect(ids.length).toBeGreaterThan(1);
    expect(new Set(ids).size).toBe(1);
  }),
);

test(
  "a message that the host did not store gets a new id once newer messages exist, since ids set their order",
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
  "a session that does not react to its message is woken five more times, without repeating the message",
  inWorld(async (world) => {
    world.orchestrators.neverWakes = true;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await expectAllDelivered(world);
    const [first, ...again] = sentEnds(world);
    expect(first).toBe(`${id} completed`);
    expect(again.length).toBe(5);
    for (const text of again) expect(text).not.toContain(id);
  }),
);

test(
  "a busy session gets one message at once and is not woken",
  inWorld(async (world) => {
    world.orchestrators.busy = true;
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600_000);
    expect(sentEnds(world)).toEqual([`${id} completed`]);
    world.orchestrators.setTrace(world.orchestrators.posts[0]?.messageID as string, "arrived");
    await expectAllDelivered(world);
  }),
);

test(
  "a session whose turn the user stopped is not woken for a job that had ended before",
  inWorld(async (world) => {
    const [first = "", second = ""] = await world.start("say 1", "work 60000 2");
    const release = world.runtime.outbox.hold(ORCHESTRATOR, [first, second]);
    await world.reaches(first, "completed");
    world.orchestrators.stoppedAt = world.clock.now() + 1;
    release();
    await world.clock.advance(50_000);
    expect(world.orchestrators.posts).toEqual([]);
    await world.clock.advance(20_000);
    expect(sentEnds(world)).toEqual([`${first} completed, ${second} completed`]);
  }),
);

test(
  "a session that cannot be read is left alone after five reads, and gets its message once it changes",
  inWorld(async (world) => {
    let calls = 0;
    world.orchestrators.onCall = () => {
      calls++;
      throw new Error("cannot read the session");
    };
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.clock.advance(600_000);
    expect(calls).toBe(5);
    world.orchestrators.onCall = () => {};
    world.sessions.emit({ kind: "touched", sessionID: ORCHESTRATOR });
    await world.clock.advance(1_000);
    expect(sentEnds(world)).toEqual([`${id} completed`]);
  }),
);

test(
  "two processes that use the same session send its message once",
  inWorld(async (world) => {
    const other = await world.open();
    const [id = ""] = await world.start("work 3000 1");
    await world.reaches(id, "running");
    await other.sessionJobs(ORCHESTRATOR);
    await world.reaches(id, "completed");
    await world.clock.advance(30_000);
    await settle();
    expect(new Set(world.orchestrators.posts.map(({ messageID }) => messageID)).size).toBe(1);
  }),
);
