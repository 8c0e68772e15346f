import { expect, test } from "bun:test";
import { messageJob } from "../../../src/jobs/actions/message-job.ts";
import type { ToolAnswer } from "../../../src/tools/tool.ts";
import type { JobView } from "../../../src/views/job-view.ts";
import { sentEnds } from "../jobs/notify/outbox-support.ts";
import { inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import { openTools } from "./tool-host.ts";

/* Waits for some of a session's jobs without names, one after the other. */

/** Begins a wait. `answer` is null until it has ended. */
function begin(world: World, args: object) {
  let found: ToolAnswer | null = null;
  void openTools(world)
    .call("agents_wait", args)
    .then((one) => {
      found = one;
      world.orchestrators.setTrace("call_1", "arrived");
    });
  const answer = () => found as ToolAnswer | null;
  return { answer, ended: () => world.clock.until("the wait ends", answer, 600_000) };
}
const idsIn = (answer: ToolAnswer, list: "finished" | "pending") =>
  (answer.metadata[list] as JobView[]).map(({ id }) => id);

for (const until of ["any", 1] as const)
  test(
    `a wait for ${until} that follows another one is for the next end, told before or not as long as nothing is open`,
    inWorld(async (world) => {
      const [a = "", b = "", c = ""] = await world.start("say one", "work 60000 two", "work 120000 three");
      await world.reaches(a, "completed");
      const first = await begin(world, { until }).ended();
      expect(first.output).toContain("one");
      const second = await begin(world, { until }).ended();
      expect(second.metadata.reason).toBe("satisfied");
      expect(idsIn(second, "pending")).toEqual([c]);
      expect(second.output).toContain("two");
      expect(second.output).toContain(`Ended and told before: ${a} completed.`);
      const third = await begin(world, { until }).ended();
      expect(third.output).toContain("three");
      const now = world.clock.now();
      const fourth = await begin(world, { until }).ended();
      expect(fourth.output).toBe(`Ended and told before: ${a} completed, ${b} completed, ${c} completed.`);
      expect(world.clock.now()).toBe(now);
    }),
  );

test(
  "an end that was told in a message is no answer to a wait for any, and one whose message may be lost is",
  inWorld(async (world) => {
    const [a = ""] = await world.start("say one", "work 3600000 two");
    await world.reaches(a, "completed");
    await world.clock.until("it is told", () => world.orchestrators.posts.length > 0);
    await world.clock.advance(10_000);
    const { answer } = begin(world, { until: "any", timeout_seconds: 60 });
    await world.clock.advance(30_000);
    expect(answer()).toBeNull();
    await world.clock.advance(30_000);
    expect(answer()?.metadata.reason).toBe("timeout");

    world.orchestrators.losesPosts = true;
    const [b = ""] = await world.start("say three");
    await world.reaches(b, "completed");
    await world.clock.until("it is sent", () => world.orchestrators.posts.length > 1);
    const now = world.clock.now();
    expect((await begin(world, { until: "any" }).ended()).metadata.reason).toBe("satisfied");
    expect(world.clock.now()).toBe(now);
    world.orchestrators.losesPosts = false;
    await world.clock.advance(10_000);
    expect(sentEnds(world)).toEqual([`${a} completed`, `${b} completed`, `${b} completed`]);
  }),
);

test(
  "a task that was refused when it was to start is no answer to a wait for any",
  inWorld(async (world) => {
    const [bad = "", good = ""] = await world.start(
      { description: "bad", command: "x", gpu: "NOPE:3:4" },
      "work 60000 two",
    );
    expect(world.job(bad).state.kind).toBe("failed");
    const answer = await begin(world, { until: "any" }).ended();
    expect(world.job(good).state.kind).toBe("completed");
    expect(answer.output).toContain("two");
  }),
);

test(
  "a number counts ends that were told before, but the wait brings a new one",
  inWorld(async (world) => {
    const [a = "", b = "", c = "", d = ""] = await world.start("say 1", "say 2", "work 60000 3", "work 120000 4");
    for (const id of [a, b]) await world.reaches(id, "completed");
    await begin(world, { until: "any" }).ended();
    const two = await begin(world, { until: 2 }).ended();
    expect(idsIn(two, "finished")).toEqual([a, b, c]);
    const all = await begin(world, { until: 4 }).ended();
    expect(idsIn(all, "finished")).toEqual([a, b, c, d]);
  }),
);

test(
  "the next end of a job that is woken during a wait for any is an answer to it",
  inWorld(async (world) => {
    const [a = ""] = await world.start("say one", "work 3600000 two");
    await world.reaches(a, "completed");
    await begin(world, { until: "any" }).ended();
    const { answer, ended } = begin(world, { until: "any" });
    await world.clock.advance(5_000);
    expect(answer()).toBeNull();
    await messageJob(world.runtime, ORCHESTRATOR, { job: a, message: "say more", interrupt: false });
    expect((await ended()).output).toContain("more");
  }),
);
