import { describe, expect, test } from "bun:test";
import type { ProviderName } from "../../../../src/config/provider-names.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { inWorld, startIn, type World } from "../runtime-world.ts";
import { fork, read, takeSnapshot, untilParked, write } from "./snapshots-support.ts";

const failureOf = ({ state }: ReturnType<World["job"]>) => (state.kind === "failed" ? state.failure : null);

describe.each(["local", "modal"] satisfies ProviderName[])("from a job's id (%s)", (providerName) => {
  const on = (body: (world: World) => Promise<void>) => inWorld(body, {}, { providerName });

  test(
    "the tasks of a call start from the files of a running job as they are when they are accepted, frozen once",
    on(async (world) => {
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await write(world, id, "note", "before");
      const forks = await world.start(fork(id), fork(id), fork(id));
      await world.clock.advance(10);
      await write(world, id, "note", "after");
      for (const one of forks) {
        await world.reaches(one, "running");
        expect(await read(world, one, "note")).toBe("before");
        expect(world.job(one)).toMatchObject({ parent: id, startedBy: null });
        expect(world.job(one).notes.join()).toContain(id);
      }
      expect(world.operations("snapshot")).toHaveLength(1);
      expect(world.job(id).state.kind).toBe("running");
      expect(world.runtime.snapshots.list(world.job(id).orchestrator).newest).toEqual([]);
      const [later = ""] = await world.start(fork(id));
      await world.reaches(later, "running");
      expect(await read(world, later, "note")).toBe("after");
    }),
  );

  test(
    "an ended job's files are those of its sandbox while that lives, and those it was parked with afterwards",
    on(async (world) => {
      const [id = ""] = await world.start("say 1");
      await world.reaches(id, "completed");
      await write(world, id, "note", "kept");
      const [early = ""] = await world.start(fork(id));
      await world.reaches(early, "running");
      expect(await read(world, early, "note")).toBe("kept");
      const snapshotID = await untilParked(world, id);
      const [late = ""] = await world.start(fork(id));
      expect(world.job(late)).toMatchObject({ parent: id, task: { snapshotID } });
      await world.reaches(late, "running");
      expect(await read(world, late, "note")).toBe("kept");
    }),
  );

  test(
    "files that could not be frozen are frozen for all tasks of the call when the first of them starts",
    on(async (world) => {
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      world.machine.onSnapshot = () => {
        world.machine.onSnapshot = () => {};
        throw new Error("too slow");
      };
      const forks = await world.start(fork(id), fork(id));
      for (const one of forks) {
        await world.reaches(one, "running");
        expect(world.job(one).notes.join()).toContain("when it started");
      }
      expect(new Set(forks.map((one) => world.job(one).task.snapshotID)).size).toBe(1);
    }),
  );
});

test(
  "forks that wait in the queue keep their files over a restart and over later snapshots of the job",
  inWorld(
    async (world) => {
      const [id = ""] = await world.start("hang");
      await world.reaches(id, "running");
      await write(world, id, "note", "then");
      const [one = ""] = await world.start(fork(id));
      await world.clock.until("its files are frozen", () => world.job(one).task.snapshotID !== null);
      expect(world.job(one).state.kind).toBe("queued");
      await write(world, id, "note", "now");
      await world.reopen();
      await world.reaches(id, "running");
      await world.runtime.lifecycle.checkpoint(await world.runtime.sessionJobs(world.job(id).orchestrator), id);
      void cancelJobs(world.runtime, world.job(id).orchestrator, [id], null);
      await world.reaches(one, "running", "completed");
      expect(await read(world, one, "note")).toBe("then");
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "jobs without files, and those of other sessions, are refused with the reason",
  inWorld(
    async (world) => {
      const [busy = "", waiting = ""] = await world.start("hang", "hang");
      await world.reaches(busy, "running");
      const [foreign] = await startIn(world.runtime, "ses_other", "hang");
      const [fromWaiting = "", fromForeign = "", fromNone = ""] = await world.start(
        fork(waiting),
        fork(foreign?.id ?? ""),
        fork("job_none"),
      );
      expect(failureOf(world.job(fromWaiting))?.message).toContain("no sandbox yet");
      const [theirs, none] = [fromForeign, fromNone].map((one) => failureOf(world.job(one)));
      expect(theirs?.code).toBe("invalid_task");
      expect(theirs?.message.replace(foreign?.id ?? "", "ID")).toBe(none?.message.replace("job_none", "ID") as never);
    },
    { maxRunningJobs: 1 },
  ),
);

test(
  "a job's id names the job, whatever label another job has given its snapshot",
  inWorld(async (world) => {
    const [id = "", liar = ""] = await world.start("hang", "hang");
    await world.reaches(id, "running");
    await world.reaches(liar, "running");
    await write(world, id, "note", "true");
    await write(world, liar, "note", "false");
    await takeSnapshot(world, liar, id);
    const [one = ""] = await world.start(fork(id));
    await world.reaches(one, "running");
    expect(await read(world, one, "note")).toBe("true");
  }),
);
