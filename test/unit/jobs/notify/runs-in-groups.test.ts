import { expect, test } from "bun:test";
import { FAILED_ALIKE, GROUP_MS } from "../../../../src/core/run-groups.ts";
import { gate, inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";
import { expectAllDelivered } from "./outbox-support.ts";
import { commandFailed, endRun, recordRuns } from "./runs-support.ts";

/* Runs of one call end one after another, and their orchestrator, which is idle, is told of them in groups. */

/** So that a runtime that takes the runs up starts none. */
const NO_GPUS = { gpuLimits: { total: 1 } };
const SILENT = { known: () => null, read: () => new Promise<never>(() => {}) };
const posts = ({ orchestrators }: World): number => orchestrators.posts.length;
/** Which of the runs the last message names. */
const named = ({ orchestrators }: World, ids: readonly string[]): string[] =>
  ids.filter((id) => new RegExp(`\\b${id}\\b`).test(orchestrators.posts.at(-1)?.text ?? ""));

test(
  "two hundred runs that end one after another are told in one message when the last of them has ended",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 200);
    for (const id of ids) {
      expect(posts(world)).toBe(0);
      await endRun(world, id);
      await world.clock.advance(2_000);
    }
    expect(posts(world)).toBe(1);
    await expectAllDelivered(world);
    expect(posts(world)).toBe(1);
  }),
);

test(
  "runs that end while the session is read are told with the others",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 3);
    await endRun(world, ids[0] as string);
    const reading = gate();
    world.orchestrators.onCall = () => reading.passed;
    await world.clock.advance(2_000);
    for (const id of ids.slice(1)) await endRun(world, id);
    await world.clock.advance(2_000);
    reading.open();
    await world.clock.advance(5_000);
    expect([posts(world), named(world, ids)]).toEqual([1, ids]);
    await expectAllDelivered(world);
  }),
);

test(
  "those that have ended are told ten minutes after the first of them, however many others go on",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 5);
    await endRun(world, ids[0] as string);
    await world.clock.advance(GROUP_MS - 60_000);
    await endRun(world, ids[1] as string);
    await world.clock.advance(59_000);
    expect(posts(world)).toBe(0);
    await world.clock.advance(2_000);
    expect([posts(world), named(world, ids)]).toEqual([1, ids.slice(0, 2)]);
    await endRun(world, ids[2] as string);
    await world.clock.advance(GROUP_MS - 1_000);
    expect(posts(world)).toBe(1);
    await world.clock.advance(2_000);
    expect([posts(world), named(world, ids)]).toEqual([2, [ids[2] as string]]);
  }),
);

test(
  "a restart changes nothing of when a group is told, and loses or doubles none",
  inWorld(
    async (world) => {
      const ids = await recordRuns(world, 3);
      await endRun(world, ids[0] as string);
      await world.clock.advance(GROUP_MS / 2);
      await world.reopen();
      await world.runtime.sessionJobs(ORCHESTRATOR);
      await world.clock.advance(GROUP_MS / 2 - 10_000);
      expect(posts(world)).toBe(0);
      await world.clock.advance(12_000);
      expect([posts(world), named(world, ids)]).toEqual([1, [ids[0] as string]]);
      await world.reopen();
      await world.runtime.sessionJobs(ORCHESTRATOR);
      for (const id of ids.slice(1)) await endRun(world, id);
      await expectAllDelivered(world);
      expect([posts(world), named(world, ids)]).toEqual([2, ids.slice(1)]);
    },
    NO_GPUS,
    { machineGpus: SILENT },
  ),
);

test(
  "the end of an agent's job is told at once, and takes along what runs have come to",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 3);
    await endRun(world, ids[0] as string);
    await world.clock.advance(5_000);
    const [agent = ""] = await world.start("say 1");
    await world.reaches(agent, "completed");
    await world.clock.advance(1_000);
    expect([posts(world), named(world, [...ids, agent])]).toEqual([1, [ids[0] as string, agent]]);
  }),
);

test(
  "what has ended goes with the user's next message",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 3);
    await endRun(world, ids[0] as string);
    await world.clock.advance(5_000);
    const text = await world.runtime.outbox.attach(ORCHESTRATOR, "msg_user");
    world.orchestrators.setTrace("msg_user", "arrived");
    expect(text).toContain(ids[0] as string);
    await endRun(world, ids[1] as string);
    await world.clock.advance(5_000);
    expect(posts(world)).toBe(0);
  }),
);

test(
  "first runs that all fail alike are told at once, once: the others would fail as well",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 60);
    for (const id of ids.slice(0, FAILED_ALIKE)) {
      expect(posts(world)).toBe(0);
      await endRun(world, id, commandFailed());
      await world.clock.advance(1_000);
    }
    expect([posts(world), named(world, ids)]).toEqual([1, ids.slice(0, FAILED_ALIKE)]);
    for (const id of ids.slice(FAILED_ALIKE, 50)) {
      await endRun(world, id, commandFailed());
      await world.clock.advance(1_000);
    }
    expect(posts(world)).toBe(1);
  }),
);

test(
  "one that has come through, or failed in another way, shows that others may",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 60);
    await endRun(world, ids[0] as string);
    for (const id of ids.slice(1, 40)) await endRun(world, id, commandFailed());
    await world.clock.advance(60_000);
    expect(posts(world)).toBe(0);
  }),
);

test(
  "calls are groups of their own: the runs of one are told while those of another go on",
  inWorld(async (world) => {
    const first = await recordRuns(world, 2, { call: "call_a" });
    const second = await recordRuns(world, 2, { call: "call_b" });
    for (const id of first) await endRun(world, id);
    await world.clock.advance(2_000);
    expect([posts(world), named(world, [...first, ...second])]).toEqual([1, first]);
  }),
);

test(
  "calls of two messages are two groups where a model's server gives both calls one id",
  inWorld(async (world) => {
    const call = "functions.agents_start:0";
    const long = await recordRuns(world, 1, { call });
    const short = await recordRuns(world, 1, { call, messageID: "msg_later" });
    for (const id of short) await endRun(world, id);
    await world.clock.advance(2_000);
    expect([posts(world), named(world, [...long, ...short])]).toEqual([1, short]);
  }),
);

test(
  "a busy orchestrator is not interrupted for every run either",
  inWorld(async (world) => {
    world.orchestrators.busy = true;
    const ids = await recordRuns(world, 3);
    await endRun(world, ids[0] as string);
    await world.clock.advance(5_000);
    expect(posts(world)).toBe(0);
    for (const id of ids.slice(1)) await endRun(world, id);
    await world.clock.advance(5_000);
    expect([posts(world), named(world, ids)]).toEqual([1, ids]);
  }),
);

test(
  "a message that was lost is sent again without another wait",
  inWorld(async (world) => {
    world.orchestrators.losesPosts = true;
    const ids = await recordRuns(world, 3);
    await endRun(world, ids[0] as string);
    await world.clock.advance(GROUP_MS + 1_000);
    expect(posts(world)).toBe(1);
    world.orchestrators.losesPosts = false;
    await world.clock.advance(10_000);
    expect([posts(world), named(world, ids)]).toEqual([2, [ids[0] as string]]);
  }),
);

test(
  "runs are told best first, by the metric of their early stopping; those without a value follow as they ended",
  inWorld(async (world) => {
    const ids = await recordRuns(world, 5);
    const losses = [3.5, "NaN", 2.25, undefined, 3] as const;
    for (const [index, loss] of losses.entries()) await endRun(world, ids[index] as string, undefined, loss);
    await world.clock.advance(2_000);
    const text = world.orchestrators.posts[0]?.text ?? "";
    const order = [...ids].sort((a, b) => text.indexOf(a) - text.indexOf(b));
    expect(order).toEqual([2, 4, 0, 1, 3].map((index) => ids[index] as string));
  }),
);
