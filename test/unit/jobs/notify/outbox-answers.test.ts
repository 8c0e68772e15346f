import { Database } from "bun:sqlite";
import { expect, test } from "bun:test";
import { messageJob } from "../../../../src/jobs/actions/message-job.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";
import { endsIn, expectAllDelivered, sentEnds } from "./outbox-support.ts";

/* Ends of jobs that are reported in a tool's answer or with a message of the user's. */

const CALL = { messageID: "msg_0", callID: "call_1" };
const claim = ({ runtime }: World, ids: string[]) => runtime.outbox.claim(ORCHESTRATOR, ids, CALL, null);
const attachedEnds = async ({ runtime }: World) =>
  endsIn((await runtime.outbox.attach(ORCHESTRATOR, "msg_user")) ?? "");

test(
  "a job that a waiting call reports gets no message, and one that ends after the call does",
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
    expect(sentEnds(world)).toEqual([`${second} completed`]);
  }),
);

test(
  "a job is reported by message when the session discarded the tool's answer",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    const release = world.runtime.outbox.hold(ORCHESTRATOR, [id]);
    await world.reaches(id, "completed");
    world.orchestrators.setTrace(CALL.callID, "open");
    await claim(world, [id]);
    release();
    world.orchestrators.setTrace(CALL.callID, "lost");
    await world.clock.advance(3_000);
    expect(sentEnds(world)).toEqual([`${id} completed`]);
  }),
);

test(
  "a job is reported after a restart when the process died before the tool's answer was stored",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    const release = world.runtime.outbox.hold(ORCHESTRATOR, [id]);
    await world.reaches(id, "completed");
    world.orchestrators.setTrace(CALL.callID, "open"); // and the host never closes it
    await claim(world, [id]);
    await world.reopen();
    release();
    await world.clock.advance(10_000);
    expect(sentEnds(world)).toEqual([`${id} completed`]);
  }),
);

test(
  "with notify.resume false an idle session gets no message, and the job is reported with the user's next one",
  inWorld(
    async (world) => {
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      await world.clock.advance(600_000);
      expect(world.orchestrators.posts).toEqual([]);
      expect(await attachedEnds(world)).toBe(`${id} completed`);
      world.orchestrators.setTrace("msg_user", "unanswered");
      expect(await world.runtime.outbox.attach(ORCHESTRATOR, "msg_user2")).toBeNull();
      await expectAllDelivered(world);
      expect(world.orchestrators.posts).toEqual([]);
    },
    { notify: { resume: false } },
  ),
);

test(
  "a job attached to a user's message that was never stored is reported by a message of its own",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    expect(await attachedEnds(world)).toBe(`${id} completed`);
    await world.clock.advance(10_000);
    expect(sentEnds(world)).toEqual([`${id} completed`]);
    expect(
      await world.runtime.outbox.attach(ORCHESTRATOR, world.orchestrators.posts[0]?.messageID as string),
    ).toBeNull();
  }),
);

test(
  "a job that ended twice is reported twice, each time with the result of that end",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    world.orchestrators.onCall = (name) => {
      if (name === "view") throw new Error("cannot read the session");
    };
    await world.reaches(id, "completed");
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "say 2", interrupt: false });
    await world.reaches(id, "completed");
    const ended = await claim(world, [id]);
    expect(ended.map(({ state }) => state.kind === "completed" && state.result)).toEqual(["1", "2"]);
  }),
);

test(
  "of the call that reports a job nothing but its ids is recorded",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    const call = { ...CALL, directory: "/home/ann/project", abort: new AbortController().signal, ask: () => {} };
    await world.runtime.outbox.claim(ORCHESTRATOR, [id], call, null);
    using database = new Database(sessionFile(world.stateDir, ORCHESTRATOR), { readonly: true });
    const { delivery } = database.query("SELECT delivery FROM outbox").get() as { delivery: string };
    expect(JSON.parse(delivery)).toEqual({ kind: "call", ...CALL, at: expect.any(Number) });
  }),
);
