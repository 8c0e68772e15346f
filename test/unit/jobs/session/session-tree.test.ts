import { expect, test } from "bun:test";
import { findJobs } from "../../../../src/jobs/session/find-jobs.ts";
import { sentEnds } from "../notify/outbox-support.ts";
import { inWorld, ORCHESTRATOR, startIn, type World } from "../runtime-world.ts";

/** Two subagents below the orchestrator, and one below the first of them. */
function family({ orchestrators }: World): void {
  orchestrators.parents.set("ses_sub", ORCHESTRATOR).set("ses_twin", ORCHESTRATOR).set("ses_deep", "ses_sub");
}

async function startFrom({ runtime }: World, sessionID: string, prompt: string): Promise<string> {
  const [job] = await startIn(runtime, sessionID, prompt);
  return job?.id ?? "";
}

const seen = async ({ runtime }: World, sessionID: string): Promise<string[]> =>
  (await runtime.sessionJobs(sessionID)).all().map(({ id }) => id);
const work = ({ orchestrators }: World, ...ids: string[]): void => {
  orchestrators.busyBelow.clear();
  for (const id of ids) orchestrators.busyBelow.add(id);
};

test(
  "each session sees its own jobs and those that sessions below it have left, nested and after a restart",
  inWorld(async (world) => {
    family(world);
    work(world, ORCHESTRATOR, "ses_sub", "ses_twin", "ses_deep");
    const sub = await startFrom(world, "ses_sub", "say 1");
    const deep = await startFrom(world, "ses_deep", "say 2");
    const own = await startFrom(world, ORCHESTRATOR, "say 3");
    expect(await seen(world, "ses_deep")).toEqual([deep]);
    expect(await seen(world, "ses_sub")).toEqual([sub]);
    expect(await seen(world, ORCHESTRATOR)).toEqual([own]);
    expect(await seen(world, "ses_twin")).toEqual([]);
    work(world, ORCHESTRATOR, "ses_sub");
    expect(await seen(world, "ses_sub")).toEqual([sub, deep]);
    await world.reopen();
    expect(await seen(world, "ses_sub")).toEqual([sub, deep]);
    work(world, ORCHESTRATOR);
    expect(await seen(world, ORCHESTRATOR)).toEqual([sub, deep, own]);
    const twin = await world.runtime.sessionJobs("ses_twin");
    expect(() => findJobs(twin, [sub])).toThrow("no job");
    expect(findJobs(await world.runtime.sessionJobs(ORCHESTRATOR), [deep]).map(({ id }) => id)).toEqual([deep]);
  }),
);

test(
  "an end is told to the session at the top once the subagents in between are at rest, and never to a subagent at rest",
  inWorld(async (world) => {
    family(world);
    work(world, "ses_sub");
    await startFrom(world, "ses_deep", "say 1");
    await world.clock.advance(30_000);
    expect(sentEnds(world)).toEqual([]);
    work(world);
    world.sessions.emit({ kind: "touched", sessionID: "ses_sub" });
    await world.clock.advance(5_000);
    expect(world.orchestrators.posts.map(({ sessionID }) => sessionID)).toEqual([ORCHESTRATOR]);
  }),
);

test(
  "the jobs of subagents count in the budget of the session at the top",
  inWorld(
    async (world) => {
      family(world);
      world.sessions.usdPerAnswer = 5;
      const first = await startFrom(world, "ses_sub", "say 1");
      await world.clock.advance(5_000);
      const second = await startFrom(world, "ses_twin", "say 2");
      await world.clock.advance(5_000);
      const { whole } = await world.runtime.sessionJobs("ses_twin");
      expect([first, second].map((id) => whole.get(id)?.state.kind)).toEqual(["completed", "failed"]);
    },
    { budget: { usdPerSession: 4, warnAt: 0.8 } },
  ),
);
