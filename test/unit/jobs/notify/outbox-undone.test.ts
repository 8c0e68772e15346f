import { expect, test } from "bun:test";
import type { UndoneStarts } from "../../../../src/jobs/execution/undone-jobs.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";
import { sentEnds } from "./outbox-support.ts";

/* Sessions that the user has undone a part of, or archived. */

const changed = (world: World) => world.sessions.emit({ kind: "changed", sessionID: ORCHESTRATOR });
const noticesOf = async ({ runtime }: World) => (await runtime.sessionJobs(ORCHESTRATOR)).notices().length;
const told = (world: World): string[] => {
  const heard: string[] = [];
  world.runtime.undoneJobs.on(({ kind, jobs }: UndoneStarts) => heard.push(`${kind} ${jobs.map(({ id }) => id)}`));
  return heard;
};

for (const closed of ["reverted", "archived"] as const) {
  test(
    `an idle session that is ${closed} gets no message, until it is open again`,
    inWorld(async (world) => {
      world.orchestrators.closed = closed;
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      await world.clock.advance(600_000);
      expect([world.orchestrators.posts, await noticesOf(world)]).toEqual([[], 1]);
      world.orchestrators.closed = null;
      changed(world);
      await world.clock.advance(1_000);
      expect(sentEnds(world)).toEqual([`${id} completed`]);
    }),
  );

  test(
    `a session that is ${closed} is not woken for a message that it has`,
    inWorld(async (world) => {
      world.orchestrators.neverWakes = true;
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      await world.clock.advance(1_000);
      world.orchestrators.closed = closed;
      await world.clock.advance(600_000);
      expect(world.orchestrators.posts.length).toBe(1);
    }),
  );
}

test(
  "the end of a job whose start is undone is told after a redo, and never once its start is gone",
  inWorld(async (world) => {
    const heard = told(world);
    const [redone = ""] = await world.start("work 5000 1");
    await world.reaches(redone, "running");
    world.orchestrators.start = "undone";
    changed(world);
    await world.reaches(redone, "completed");
    await world.clock.advance(600_000);
    expect([sentEnds(world), heard]).toEqual([[], [`undone ${redone}`]]);
    world.orchestrators.start = "known";
    changed(world);
    await world.clock.advance(10_000);
    expect(sentEnds(world)).toEqual([`${redone} completed`]);

    const [lost = ""] = await world.start("work 5000 2");
    await world.reaches(lost, "running");
    world.orchestrators.start = "gone";
    changed(world);
    changed(world);
    await world.reaches(lost, "completed");
    expect(await world.runtime.outbox.attach(ORCHESTRATOR, "msg_user")).toBeNull();
    await world.clock.advance(600_000);
    expect([sentEnds(world).length, await noticesOf(world)]).toEqual([1, 0]);
    expect(heard).toEqual([`undone ${redone}`, `gone ${lost}`]);
    expect(world.job(lost).notes.join()).toContain("undid the message");
  }),
);

test(
  "a queued job whose start is undone does not start, also after a restart, and is cancelled once its start is gone",
  inWorld(
    async (world) => {
      const [first = "", kept = ""] = await world.start("work 5000 1", "say 2");
      await world.reaches(first, "running");
      world.orchestrators.start = "undone";
      changed(world);
      await world.clock.advance(60_000);
      expect([world.job(first).state.kind, world.job(kept).state.kind]).toEqual(["completed", "queued"]);
      await world.reopen();
      await world.clock.advance(60_000);
      expect(world.job(kept).state.kind).toBe("queued");
      world.orchestrators.start = "gone";
      changed(world);
      await world.clock.advance(1_000);
      expect(world.job(kept).state).toMatchObject({ kind: "cancelled" });
    },
    { maxRunningJobs: 1 },
  ),
);
