import { expect, test } from "bun:test";
import { computeUsd } from "../../../../src/core/cost.ts";
import { toCostTags } from "../../../../src/core/sandbox-tags.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const MINUTE = 60_000;
const DEAD = "999999999";
const [PID, , PLACE = "", START] = (toCostTags(8).maker ?? "").split(":");

/** A sandbox of a job's that no process has, at 8 USD per hour, half an hour old. */
async function leaveSandbox(world: World, job: string, maker: string): Promise<string> {
  const { machine, runtime, clock } = world;
  machine.billedSince = clock.now() - 30 * MINUTE;
  const tags = { ...toCostTags(8), job, session: ORCHESTRATOR, lab: runtime.pool.identity(), maker };
  const spec = { tags, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open" } as const;
  return (await machine.open().create({ ...spec, name: JSON.stringify(tags) })).id;
}

async function endedJob(world: World) {
  const [job = ""] = await world.start("say 1");
  await world.reaches(job, "completed");
  await world.runtime.collectGarbage();
  const usd = async () => {
    (await world.runtime.sessionJobs(ORCHESTRATOR)).reload(job);
    return computeUsd(world.job(job).compute, world.clock.now());
  };
  const before = await usd();
  return { job, charged: async () => (await usd()) - before };
}

for (const kind of ["unrecorded", "recorded"])
  test(
    `two processes that collect garbage at once charge ${kind} costs of a sandbox once`,
    inWorld(async (world) => {
      const { job, charged } = await endedJob(world);
      const left = await leaveSandbox(world, job, DEAD);
      const cost = { usdPerHour: 8, chargedTo: world.clock.now() - 30 * MINUTE };
      if (kind === "recorded") world.runtime.pool.saveSandboxCost(left, cost);
      const other = await world.open();
      world.machine.onCall = () => new Promise((resolve) => setImmediate(resolve)); // over the network
      const reports = await Promise.all([world.runtime.collectGarbage(), other.collectGarbage()]);
      world.machine.onCall = () => {};
      expect(reports.flatMap(({ ended }) => ended)).toEqual([left, left]);
      expect(await charged()).toBeCloseTo(4);
    }),
  );

for (const [whose, maker, usd] of [
  ["a process whose id another one has by now", `${PID}::${PLACE}:${Number(START) - 1}`, 4],
  ["OpenCode in a container that is gone, whose id this process has", `${PID}::4026539999-other:${START}`, 4],
  ["this process, which charges it itself", toCostTags(8).maker ?? "", 0],
] as const)
  test.skipIf(process.platform !== "linux")(
    `a sandbox that was made by ${whose}${usd ? ", is charged" : ", is not charged again"}`,
    inWorld(async (world) => {
      const { job, charged } = await endedJob(world);
      const left = await leaveSandbox(world, job, maker);
      expect((await world.runtime.collectGarbage()).ended).toEqual([left]);
      expect(await charged()).toBeCloseTo(usd);
    }),
  );

test(
  "a sandbox whose record was removed is charged no more, though its maker is not known to live",
  inWorld(async (world) => {
    const { job, charged } = await endedJob(world);
    const left = await leaveSandbox(world, job, `${PID}::4026539999-other:${START}`);
    world.runtime.pool.insertSandbox(left, "local", job, ORCHESTRATOR, world.clock.now());
    world.runtime.pool.deleteSandbox(left);
    expect((await world.runtime.collectGarbage()).ended).toEqual([left]);
    expect(await charged()).toBeCloseTo(0);
  }),
);
