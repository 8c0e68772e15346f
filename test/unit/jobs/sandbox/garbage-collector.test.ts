import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { defaultOptions } from "../../../../src/config/schema.ts";
import { computeUsd } from "../../../../src/core/cost.ts";
import { openFoundation } from "../../../../src/jobs/foundation.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import type { SandboxSpec } from "../../../../src/sandboxes/port.ts";
import { toProcessName } from "../../../../src/shared/process-identity.ts";
import { settle } from "../../../support/fake-clock.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const MINUTE = 60_000;
const NOTHING_DONE = { ended: [], parked: [], snapshotsRemoved: [], failures: [] };
const sandboxIDs = ({ machine }: World) => machine.sandboxes().map(({ id }) => id);

/** Creates a sandbox that no job names, as a process leaves behind that dies while it creates one. */
async function createOrphan({ machine }: World, tags: Record<string, string>): Promise<string> {
  const spec = {
    name: JSON.stringify(tags),
    tags,
    snapshotID: null,
    workdir: "/workspace",
    env: {},
    memoryMiB: null,
    network: "open",
  };
  return (await machine.open().create(spec as SandboxSpec)).id;
}

test(
  "a sandbox that is recorded and not listed is forgotten once it is known to have ended, or after a day where nobody knows",
  inWorld(async (world) => {
    const { pool } = world.runtime;
    const left = async () => {
      await world.runtime.collectGarbage();
      return pool.sandboxes().map(({ id }) => id);
    };
    pool.insertSandbox("of another app", "local", "job_9", "ses_9", world.clock.now());
    pool.insertSandbox("of another account", "local", "job_8", "ses_8", world.clock.now());
    const known: Record<string, boolean> = { "of another app": false };
    world.machine.hasEnded = (id) => known[id] ?? null;
    expect(await left()).toEqual(["of another app", "of another account"]);
    known["of another app"] = true;
    expect(await left()).toEqual(["of another account"]);
    await world.clock.advance(26 * 60 * MINUTE);
    expect(await left()).toEqual([]);
  }),
);

test(
  "garbage collection keeps sandboxes of jobs, of other state directories and without tags",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 1");
    await world.reaches(id, "running");
    const ofJob = sandboxIDs(world);
    const ofOther = await createOrphan(world, { job: "job_9", session: "ses_9", lab: "other" });
    const untagged = await createOrphan(world, {});
    expect(await world.runtime.collectGarbage()).toEqual(NOTHING_DONE);
    expect(sandboxIDs(world)).toEqual([...ofJob, ofOther, untagged]);
  }),
);

test(
  "an orphan is terminated within seconds of the start, and a later one within minutes",
  inWorld(async (world) => {
    const identity = world.runtime.pool.identity();
    const orphan = await createOrphan(world, { job: "job_9", session: "ses_9", lab: identity });
    await world.clock.advance(6_000);
    expect(sandboxIDs(world)).toEqual([]);
    expect(world.operations("terminate")).toEqual([`terminate ${orphan}`]);
    await createOrphan(world, { job: "job_9", session: "ses_9", lab: identity });
    await world.clock.advance(6 * MINUTE);
    expect(sandboxIDs(world)).toEqual([]);
  }),
);

test(
  "what a job's sandbox has cost that its process did not live to record is charged to the job, and nothing twice",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.runtime.collectGarbage();
    const usd = () => computeUsd(world.job(id).compute, world.clock.now());
    const before = usd();
    world.machine.billedSince = world.clock.now() - 30 * MINUTE;
    const tags = { job: id, session: ORCHESTRATOR, lab: world.runtime.pool.identity() };
    const DEAD = "999999999";
    const left = await createOrphan(world, { ...tags, usd_per_hour: "8", maker: DEAD });
    expect((await world.runtime.collectGarbage()).ended).toEqual([left]);
    expect(usd() - before).toBeCloseTo(4);
    // One of an earlier version, and one that its process charges itself.
    const others = [await createOrphan(world, tags)];
    others.push(await createOrphan(world, { ...tags, usd_per_hour: "8", maker: String(process.pid) }));
    expect((await world.runtime.collectGarbage()).ended).toEqual(others);
    expect(usd() - before).toBeCloseTo(4);
  }),
);

test(
  "a sandbox that could not be terminated when its job was parked is terminated later",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.runtime.lifecycle.park(await world.runtime.sessionJobs(ORCHESTRATOR), id);
    // As a sandbox is left whose termination failed after its job was parked: recorded in the pool, named by no job.
    const sandboxID = await createOrphan(world, { job: id, session: ORCHESTRATOR });
    world.runtime.pool.insertSandbox(sandboxID, "local", id, ORCHESTRATOR, world.clock.now());
    expect([world.job(id).sandbox.kind, sandboxIDs(world)]).toEqual(["parked", [sandboxID]]);
    expect((await world.runtime.collectGarbage()).ended).toEqual([sandboxID]);
    expect([sandboxIDs(world), world.runtime.pool.sandboxes()]).toEqual([[], []]);
  }),
);

test(
  "a sandbox created to read a parked job's files is kept while its process lives, and terminated after that",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
    await world.runtime.lifecycle.park(sessionJobs, id);
    const read = await world.runtime.jobFiles.read(sessionJobs, id, {
      async use(sandbox) {
        expect(await world.runtime.collectGarbage()).toEqual(NOTHING_DONE);
        return [sandbox.id, ...sandboxIDs(world)];
      },
    });
    expect(read).toEqual([read[0] as string, read[0] as string]);
    expect([sandboxIDs(world), world.runtime.pool.sandboxes()]).toEqual([[], []]);

    const tags = { job: id, session: ORCHESTRATOR, lab: world.runtime.pool.identity() };
    const ofDeadReader = await createOrphan(world, { ...tags, reader: "999999999" });
    expect((await world.runtime.collectGarbage()).ended).toEqual([ofDeadReader]);
  }),
);

test(
  "the sandbox of an ended job whose process died is parked by a later process",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    world.machine.onSnapshot = () => {
      throw new Error("killed");
    };
    await world.close(world.runtime);
    world.machine.onSnapshot = () => {};
    await world.clock.advance(12 * MINUTE);
    world.runtime = await world.open();
    expect((await world.runtime.collectGarbage()).parked.length).toBe(1);
    expect(sandboxIDs(world)).toEqual([]);
    await world.reopen();
    expect(world.job(id).sandbox.kind).toBe("parked");
  }),
);

/** A completed job whose sandbox could not be parked when its process ended. */
async function leaveSandbox(world: World): Promise<{ readonly id: string; readonly sandboxID: string }> {
  const [id = ""] = await world.start("say 1");
  await world.reaches(id, "completed");
  world.machine.onSnapshot = () => {
    throw new Error("killed");
  };
  await world.close(world.runtime);
  world.machine.onSnapshot = () => {};
  world.runtime = await world.open();
  return { id, sandboxID: sandboxIDs(world)[0] ?? "" };
}

/** Names of processes: `pid:id:place:start`. */
const own = () => toProcessName("owner_1").split(":");
/** Above the largest process id there can be. */
const NOBODY = 999_999_999;
const owners: [what: string, owner: () => string, isParked: boolean][] = [
  ["has ended", () => [NOBODY, "owner_1", own()[2], "1"].join(":"), true],
  ["had a process id that another process has by now", () => [process.pid, "owner_1", own()[2], "1"].join(":"), true],
  ["lives", () => own().join(":"), false],
  ["may live in another container", () => [NOBODY, "owner_1", "4026539999-other", "1"].join(":"), false],
  ["does not say where it runs", () => `${NOBODY}:owner_1::`, false],
  ["is of an earlier version", () => `${NOBODY}:owner_1`, false],
];
for (const [what, owner, isParked] of owners)
  test.skipIf(process.platform !== "linux")(
    `the sandbox of a job that has just ended is ${isParked ? "parked" : "kept"} at the next start where its process ${what}`,
    inWorld(async (world) => {
      const { id, sandboxID } = await leaveSandbox(world);
      world.runtime.pool.ownSandbox(sandboxID, owner());
      await world.clock.advance(6_000);
      expect(sandboxIDs(world)).toEqual(isParked ? [] : [sandboxID]);
      await world.reopen();
      expect(world.job(id).sandbox.kind).toBe(isParked ? "parked" : "live");
      await world.clock.advance(2 * MINUTE); // this process has taken the job up, and parks it in its own time
      expect([world.job(id).sandbox.kind, sandboxIDs(world)]).toEqual(["parked", []]);
    }),
  );

test(
  "a session that is used again keeps the sandbox that a dead process left for its own time",
  inWorld(async (world) => {
    const { id, sandboxID } = await leaveSandbox(world);
    const dead = [NOBODY, "owner_1", own()[2], "1"].join(":");
    world.runtime.pool.ownSandbox(sandboxID, dead);
    await world.reopen();
    await world.clock.advance(6_000);
    expect([world.job(id).sandbox.kind, sandboxIDs(world)]).toEqual(["live", [sandboxID]]);
    await world.clock.advance(2 * MINUTE);
    expect(world.job(id).sandbox.kind).toBe("parked");
  }),
);

test(
  "expired snapshots and those of deleted sessions are removed",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("say 1", "say 2");
    await world.reaches(other, "completed");
    await world.clock.advance(70_000);
    const [first, second] = world.runtime.pool.allSnapshots();
    expect([world.job(id).sandbox.kind, world.job(other).sandbox.kind]).toEqual(["parked", "parked"]);
    if (!first || !second) throw new Error("the jobs were not parked");
    world.runtime.pool.saveSnapshot({ ...first, expiresAt: world.clock.now() - 1 });
    expect((await world.runtime.collectGarbage()).snapshotsRemoved).toEqual([first.id]);
    await world.close(world.runtime);
    rmSync(sessionFile(world.stateDir, ORCHESTRATOR));
    world.runtime = await world.open();
    expect((await world.runtime.collectGarbage()).snapshotsRemoved).toEqual([second.id]);
    expect(world.machine.snapshotIDs()).toEqual([]);
  }),
);

test(
  "the command line closes its state without an error when a sandbox could not be frozen",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    world.machine.onSnapshot = () => {
      throw new Error("no space left");
    };
    await world.close(world.runtime);
    await world.clock.advance(12 * MINUTE);
    const foundation = await openFoundation({
      options: defaultOptions(world.stateDir),
      providerName: "local",
      createProvider: async () => world.machine.open(),
      directory: null,
      hostEnv: {},
      clock: world.clock,
      ids: (prefix) => `${prefix}_gc`,
      log: () => {},
    });
    const kept = sandboxIDs(world);
    const { failures } = await foundation.garbageCollector.collectGarbage();
    expect(failures).toEqual([expect.stringContaining("could not be frozen")]);
    await foundation.close(); // its provider lets go of the sandbox
    await settle();
    expect([kept.length, sandboxIDs(world)]).toEqual([1, kept]);
  }),
);

test(
  "a sandbox that another run takes over while garbage is collected is kept, at whatever moment that is",
  inWorld(async (world) => {
    const [one = "", other = ""] = await world.start("say 1", "say 1");
    await world.reaches(one, "completed");
    await world.reaches(other, "completed");
    const [first = ""] = sandboxIDs(world);
    const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
    const give = (from: string, to: string) => {
      world.runtime.pool.insertSandbox(first, "local", to, ORCHESTRATOR, world.clock.now());
      sessionJobs.update(from, (job) => ({ ...job, sandbox: { kind: "gone" } }));
      sessionJobs.update(to, (job) => ({ ...job, sandbox: { kind: "live", id: first } }));
    };
    give(other, one); // the sandbox of the other is no job's now
    for (let turns = 0; turns < 40; turns += 1) {
      const collecting = world.runtime.collectGarbage();
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
      if (turns % 2 === 0) give(one, other);
      else give(other, one);
      await collecting;
      expect(sandboxIDs(world)).toContain(first);
    }
  }),
);

test(
  "what a killed process did not charge of a sandbox is charged to its job by whoever ends it",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 1");
    await world.reaches(id, "running");
    const { pool } = world.runtime;
    const tags = { job: id, session: ORCHESTRATOR, lab: pool.identity(), environment: "content" };
    const left = await createOrphan(world, tags);
    pool.insertSandbox(left, "local", id, ORCHESTRATOR, world.clock.now());
    pool.saveSandboxCost(left, { usdPerHour: 6, chargedTo: world.clock.now() });
    const before = world.job(id).compute.usd;
    world.clock.sleepUntil(world.clock.now() + 30 * MINUTE);
    expect((await world.runtime.collectGarbage()).ended).toEqual([left]);
    expect(world.job(id).compute.usd - before).toBeCloseTo(3, 5);
    expect(pool.sandboxCost(left)).toBeNull();
  }),
);
