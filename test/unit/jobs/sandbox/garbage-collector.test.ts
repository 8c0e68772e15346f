import { describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { Job } from "../../../../src/jobs/core/job.ts";
import { decideOrphan } from "../../../../src/jobs/core/orphan.ts";
import { sessionFile } from "../../../../src/jobs/store/session-store.ts";
import type { SandboxSpec } from "../../../../src/sandboxes/port.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const NOW = 10_000_000_000;
const MINUTE = 60_000;

describe("a sandbox", () => {
  const job = (kind: string, sandbox: string, sinceMs = 0) =>
    ({
      state: { kind, since: NOW - sinceMs },
      sandbox: sandbox === "live" ? { kind: "live", id: "sbx_1" } : { kind: sandbox },
    }) as unknown as Job;
  const cases: [what: string, job: Job | null, isLeaseAlive: boolean, ageMs: number, decision: string][] = [
    ["of a deleted session", null, false, 0, "end"],
    ["of a running job", job("running", "live"), true, 99 * MINUTE, "keep"],
    ["of a job whose process died", job("running", "live"), false, 99 * MINUTE, "keep"],
    ["of an interrupted job", job("interrupted", "live", 99 * MINUTE), false, 99 * MINUTE, "keep"],
    ["of a woken job", job("queued", "live"), false, 99 * MINUTE, "keep"],
    ["that is being made", job("starting", "creating"), true, MINUTE, "keep"],
    ["that was being made when its process died", job("starting", "creating"), false, MINUTE, "end"],
    ["that a job was given up to wait for", job("running", "live2"), true, 11 * MINUTE, "end"],
    ["of a job that has just ended", job("completed", "live", MINUTE), false, 99 * MINUTE, "keep"],
    ["of a job that ended long ago", job("failed", "live", 12 * MINUTE), false, 99 * MINUTE, "park"],
    ["of a parked job", job("completed", "parked"), false, MINUTE, "end"],
  ];
  for (const [what, record, isLeaseAlive, ageMs, decision] of cases) {
    test(`${what} is for: ${decision}`, () => {
      const facts = {
        sandboxID: "sbx_1",
        createdAt: NOW - ageMs,
        job: record,
        recordsLostAt: null,
        isLeaseAlive,
        isReader: false,
      };
      expect(decideOrphan({ ...facts, parkAfterMs: MINUTE, now: NOW }) as string).toBe(decision);
    });
  }
});

test("a sandbox that a process reads files in is kept for an hour at most", () => {
  const facts = {
    sandboxID: "sbx_1",
    job: { state: {}, sandbox: {} } as Job,
    recordsLostAt: null,
    isLeaseAlive: false,
    parkAfterMs: MINUTE,
  };
  for (const [ageMs, isReader, decision] of [
    [59 * MINUTE, true, "keep"],
    [59 * MINUTE, false, "end"],
    [61 * MINUTE, true, "end"],
  ] as const)
    expect(decideOrphan({ ...facts, isReader, createdAt: NOW - ageMs, now: NOW })).toBe(decision);
});

test.each([
  ["made before the loss, a day young", -MINUTE, 23 * 60 * MINUTE, "keep"],
  ["made before the loss, of which nobody knows when", null, MINUTE, "keep"],
  ["made before the loss, and a day has passed", -MINUTE, 24 * 60 * MINUTE, "end"],
  ["made after the loss", MINUTE, 2 * MINUTE, "end"],
] as const)(
  "a sandbox of a session whose records were lost, %s, is for: %p %p %s",
  (_what, madeMs, sinceMs, decision) => {
    const recordsLostAt = NOW - sinceMs;
    const createdAt = madeMs === null ? null : recordsLostAt + madeMs;
    const facts = { sandboxID: "sbx_1", createdAt, job: null, recordsLostAt, isLeaseAlive: false, isReader: false };
    expect(decideOrphan({ ...facts, parkAfterMs: MINUTE, now: NOW })).toBe(decision);
  },
);

const NOTHING = { ended: [], parked: [], snapshotsRemoved: [], failures: [] };
const unterminated = ({ machine }: World) => machine.sandboxes().map(({ id }) => id);

/** A sandbox that no job names, as a process leaves it that dies while it makes one. */
async function strayOf({ machine }: World, tags: Record<string, string>): Promise<string> {
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
  "a sweep leaves what jobs use, and what belongs to another state directory",
  inWorld(async (world) => {
    const [id = ""] = await world.start("work 20000 1");
    await world.reaches(id, "running");
    const mine = unterminated(world);
    const foreign = await strayOf(world, { job: "job_9", session: "ses_9", lab: "elsewhere" });
    const nobodys = await strayOf(world, {});
    expect(await world.runtime.collectGarbage()).toEqual(NOTHING);
    expect(unterminated(world)).toEqual([...mine, foreign, nobodys]);
  }),
);

test(
  "what a process left while it made it is ended, by itself within minutes",
  inWorld(async (world) => {
    const runtime = world.runtime.pool.identity();
    const stray = await strayOf(world, { job: "job_9", session: "ses_9", lab: runtime });
    await world.clock.advance(6_000);
    expect(unterminated(world)).toEqual([]);
    expect(world.operations("terminate")).toEqual([`terminate ${stray}`]);
    await strayOf(world, { job: "job_9", session: "ses_9", lab: runtime });
    await world.clock.advance(6 * MINUTE);
    expect(unterminated(world)).toEqual([]);
  }),
);

test(
  "a sandbox that could not be terminated when its job was parked is terminated later",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    await world.runtime.lifecycle.park(await world.runtime.sessionJobs(ORCHESTRATOR), id);
    // As it stays when its job is parked and its termination fails: known to the pool, named by no job.
    const sandboxID = await strayOf(world, { job: id, session: ORCHESTRATOR });
    world.runtime.pool.insertSandbox(sandboxID, "local", id, ORCHESTRATOR, world.clock.now());
    expect([world.job(id).sandbox.kind, unterminated(world)]).toEqual(["parked", [sandboxID]]);
    expect((await world.runtime.collectGarbage()).ended).toEqual([sandboxID]);
    expect([unterminated(world), world.runtime.pool.sandboxes()]).toEqual([[], []]);
  }),
);

test(
  "a sandbox made to read a parked job's files is left alone while its process reads, and ended when that died",
  inWorld(async (world) => {
    const [id = ""] = await world.start("say 1");
    await world.reaches(id, "completed");
    const sessionJobs = await world.runtime.sessionJobs(ORCHESTRATOR);
    await world.runtime.lifecycle.park(sessionJobs, id);
    const read = await world.runtime.jobFiles.read(sessionJobs, id, {
      async use(sandbox) {
        expect(await world.runtime.collectGarbage()).toEqual(NOTHING);
        return [sandbox.id, ...unterminated(world)];
      },
    });
    expect(read).toEqual([read[0] as string, read[0] as string]);
    expect([unterminated(world), world.runtime.pool.sandboxes()]).toEqual([[], []]);

    const tags = { job: id, session: ORCHESTRATOR, lab: world.runtime.pool.identity() };
    const dead = await strayOf(world, { ...tags, reader: "999999999" });
    expect((await world.runtime.collectGarbage()).ended).toEqual([dead]);
  }),
);

test(
  "the sandbox of a job that ended before its process died is frozen and given up by whoever comes later",
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
    expect(unterminated(world)).toEqual([]);
    await world.reopen();
    expect(world.job(id).sandbox.kind).toBe("parked");
  }),
);

test(
  "expired snapshots are removed, and those of sessions that are gone",
  inWorld(async (world) => {
    const [id = "", other = ""] = await world.start("say 1", "say 2");
    await world.reaches(other, "completed");
    await world.clock.advance(70_000);
    const [first, second] = world.runtime.pool.allSnapshots();
    expect([world.job(id).sandbox.kind, world.job(other).sandbox.kind]).toEqual(["parked", "parked"]);
    if (!first || !second) throw new Error("they were not parked");
    world.runtime.pool.saveSnapshot({ ...first, expiresAt: world.clock.now() - 1 });
    expect((await world.runtime.collectGarbage()).snapshotsRemoved).toEqual([first.id]);
    await world.close(world.runtime);
    rmSync(sessionFile(world.stateDir, ORCHESTRATOR));
    world.runtime = await world.open();
    expect((await world.runtime.collectGarbage()).snapshotsRemoved).toEqual([second.id]);
    expect(world.machine.snapshotIDs()).toEqual([]);
  }),
);
