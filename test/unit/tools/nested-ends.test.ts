import { expect, test } from "bun:test";
import { messageJob } from "../../../src/jobs/actions/message-job.ts";
import type { ToolAnswer } from "../../../src/tools/tool.ts";
import { followRuns, startRuns } from "../jobs/nested-support.ts";
import { inWorld, ORCHESTRATOR, type World } from "../jobs/runtime-world.ts";
import type { FakeProcess } from "./fake-process.ts";
import { openTools } from "./tool-host.ts";

/* Who is told of the ends of runs that a job's agent has started. */

const RESULT = "accuracy is 0.93";
const ended = ({ metadata }: ToolAnswer) => (metadata.finished as { id: string }[]).map(({ id }) => id);

/** Waits for an answer, and keeps it. */
function follow(answer: Promise<ToolAnswer>) {
  let found: ToolAnswer | null = null;
  void answer.then((one) => {
    found = one;
  });
  return () => found as ToolAnswer | null;
}

/** A job that runs, with two runs of its own, of which the first has ended. */
async function openNested(world: World, prompt: string) {
  const started = followRuns(world);
  const [id = ""] = await world.start(prompt);
  await world.reaches(id, "running");
  const [first = "", second = ""] = await startRuns(world, id, 2);
  await world.clock.until("both run", () => started.length === 2);
  const [done, open] = started as [FakeProcess, FakeProcess];
  const endFirst = async () => {
    done.print(`${RESULT}\n`);
    done.end({ kind: "exited", code: 0 });
    await world.reaches(first, "completed");
  };
  return { id, first, second, open, endFirst };
}

for (const [name, args] of [
  ["agents_status", {}],
  ["agents_status", "the run"],
  ["agents_wait", { timeout_seconds: 5 }],
  ["agents_wait", "the run"],
] as const)
  test(
    `${name} of the orchestrator (${JSON.stringify(args)}) leaves the result of a run to the job that started it`,
    inWorld(async (world) => {
      const { id, first, second, open, endFirst } = await openNested(world, "hang");
      const { call, callInJob } = openTools(world);
      const ofJob = follow(callInJob("agents_wait", {}, world.job(id)));
      await world.clock.advance(10);
      await endFirst();
      const isNamed = args === "the run";
      const seen = follow(call(name, isNamed ? { jobs: [first] } : args));
      const { output } = await world.clock.until("the orchestrator is answered", seen);
      // Named, a job's result is told as often as it is asked for.
      expect(output.includes(RESULT)).toBe(isNamed);
      expect(output).not.toContain("told before");
      world.orchestrators.setTrace("call_1", "arrived");
      await world.clock.advance(20_000);
      open.end({ kind: "exited", code: 0 });
      await world.reaches(second, "completed");
      const answer = await world.clock.until("the job is answered", ofJob);
      expect(answer.output).toContain(RESULT);
      expect(ended(answer)).toEqual([first, second]);
    }),
  );

test(
  "a wait for any of the orchestrator's jobs goes on while runs that one of them has started end",
  inWorld(async (world) => {
    const { id, first, endFirst } = await openNested(world, "work 60000 done");
    const answer = follow(openTools(world).call("agents_wait", { until: "any" }));
    await endFirst();
    await world.clock.advance(5_000);
    expect(answer()).toBeNull();
    const { metadata, output } = await world.clock.until("it is answered", answer);
    expect(metadata.reason).toBe("satisfied");
    expect(world.job(id).state.kind).toBe("completed");
    expect(output).toContain("done");
    expect(output).not.toContain(first);
  }),
);

test(
  "a job that is woken is not said to have been told of runs whose ends its former turn did not hear",
  inWorld(async (world) => {
    const { id, first, second, endFirst } = await openNested(world, "work 5000 one");
    const { callInJob } = openTools(world);
    await endFirst();
    await world.reaches(id, "completed");
    await world.reaches(second, "cancelled");
    await world.clock.advance(5_000);
    await messageJob(world.runtime, ORCHESTRATOR, { job: id, message: "work 60000 two", interrupt: false });
    await world.reaches(id, "running");
    const all = follow(callInJob("agents_wait", {}, world.job(id)));
    const { output } = await world.clock.until("it is answered", all);
    expect(output).toBe(
      `Ended before: ${first} completed, ${second} cancelled. Call agents_wait with their ids for results that you were not told.`,
    );
    const named = follow(callInJob("agents_wait", { jobs: [first] }, world.job(id)));
    expect((await world.clock.until("it is answered", named)).output).toContain(RESULT);
  }),
);
