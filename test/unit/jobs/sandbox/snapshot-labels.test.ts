import { expect, test } from "bun:test";
import { snapshotJob } from "../../../../src/jobs/actions/snapshot-job.ts";
import { recordRuns } from "../notify/runs-support.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";
import { fork, read, takeSnapshot, write } from "./snapshots-support.ts";

/** Running jobs, each with a file that holds its number. */
async function startNumberedJobs(world: World, count: number): Promise<string[]> {
  const ids = await world.start(...Array.from({ length: count }, () => "hang"));
  for (const id of ids) await world.reaches(id, "running");
  for (const [index, id] of ids.entries()) await write(world, id, "n", `${index}`);
  return ids;
}

const labelsOf = ({ runtime }: World) =>
  runtime.snapshots.list(ORCHESTRATOR).newest.map(({ label, jobID }) => [label, jobID]);

test(
  "a label belongs to the job that gave it first: another job's snapshot is taken without it, and its owner is named",
  inWorld(async (world) => {
    const [first = "", second = ""] = await startNumberedJobs(world, 2);
    await takeSnapshot(world, first, "best");
    for (const label of ["best", "BEST", "Best"]) {
      const { snapshot, labelOwner } = await snapshotJob(world.runtime, ORCHESTRATOR, {
        job: second,
        label,
        path: null,
      });
      expect({ label: snapshot.label, labelOwner }).toEqual({ label: null, labelOwner: first });
    }
    expect(labelsOf(world)).toEqual([["best", first], ...[1, 2, 3].map(() => [null, second])]);
    const forks = await world.start(fork("best", "hang"), fork("bEsT", "hang"));
    for (const id of forks) {
      await world.reaches(id, "running");
      expect(await read(world, id, "n")).toBe("0");
    }
    // Only its own job can move it to a newer snapshot.
    await write(world, first, "n", "newer");
    await takeSnapshot(world, first, "Best");
    expect(labelsOf(world).filter(([label]) => label !== null)).toEqual([["Best", first]]);
    expect(world.runtime.snapshots.find(ORCHESTRATOR, "best")?.sizeBytes).toBe("newer".length);
  }),
);

test(
  "of two processes that give the same label, the first one gets it",
  inWorld(async (world) => {
    const ids = await startNumberedJobs(world, 4);
    const other = await world.open();
    const records = await Promise.all(ids.map((id) => takeSnapshot(world, id)));
    const owners = records.map((record, index) => {
      const { pool } = index % 2 === 0 ? world.runtime : other;
      return pool.giveLabel(ORCHESTRATOR, { label: "best", jobID: record.jobID, snapshotID: record.id }).owner;
    });
    expect(owners).toEqual(ids.map(() => ids[0] as string));
    expect(other.pool.giveLabel("ses_other", { label: "best", jobID: "job_x", snapshotID: "snap_x" }).owner).toBe(
      "job_x",
    );
  }),
);

test(
  "starting from a label whose snapshot is gone is refused, and the label stays with its job until the session is deleted",
  inWorld(async (world) => {
    const [first = "", second = ""] = await startNumberedJobs(world, 2);
    const snapshot = await takeSnapshot(world, first, "best");
    world.runtime.pool.deleteSnapshot(snapshot.id);
    const [refused = ""] = await world.start(fork("best"));
    expect(world.job(refused).state).toMatchObject({
      failure: {
        code: "invalid_task",
        message: `from "best" is the label of ${snapshot.id} of ${first}, which has expired or was removed. Wake ${first} with agents_message and take another with sandbox_snapshot, or start from a different one.`,
      },
    });
    const [run = ""] = await recordRuns(world, 1); // no model answers in it
    world.runtime.pool.giveLabel(ORCHESTRATOR, { label: "of a run", jobID: run, snapshotID: "snap_lost" });
    const [again = ""] = await world.start(fork("of a run"));
    expect(world.job(again).state).toMatchObject({
      failure: { message: expect.stringContaining(`${run} is a run, which cannot be woken: run its command again`) },
    });
    expect(await snapshotJob(world.runtime, ORCHESTRATOR, { job: second, label: "best", path: null })).toMatchObject({
      labelOwner: first,
    });
    expect((await takeSnapshot(world, first, "best")).label).toBe("best");
    await world.runtime.snapshots.removeAll(ORCHESTRATOR);
    expect(world.runtime.pool.labelled(ORCHESTRATOR, "best")).toBeNull();
  }),
);
