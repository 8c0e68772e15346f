import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toOwner } from "../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";

const NOW = 1_000_000;

test("a lease is granted when the decision allows it, freed by its release, and renewed even after it has expired", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "leases-"));
  const pool = await openPoolStore(stateDir);
  try {
    const owner = toOwner("me").replace(/:([^:]*):([^:]*)$/, ":elsewhere:$2");
    const request = (id: string) => ({ id, jobID: `job_${id}`, orchestrator: "ses_o", owner });
    const acquire = (id: string) =>
      pool.acquireLease(request(id), ({ leases }) => (leases.length < 2 ? { slots: 1, gpu: null } : null), NOW);
    expect(["a", "b", "c"].map((id) => acquire(id) !== null)).toEqual([true, true, false]);
    expect(pool.poolState(NOW).leases).toMatchObject([{ id: "a", owner, slots: 1, gpu: null }, { id: "b" }]);
    pool.releaseLease("a");
    expect(acquire("c")).not.toBeNull();
    const lease = { ...request("b"), slots: 1 as const, gpu: null };
    pool.renewLeases([lease], NOW + 25_000);
    expect(pool.isLeaseAlive("b", NOW + 50_000)).toBe(true);
    expect(pool.isLeaseAlive("b", NOW + 55_001)).toBe(false);
    expect(pool.poolState(NOW + 50_000).leases).toMatchObject([{ id: "b" }]); // asking deleted nothing
    pool.renewLeases([lease], NOW + 60_000); // the machine was asleep, and the job is still running
    expect(pool.isLeaseAlive("b", NOW + 80_000)).toBe(true);
    const other = { ...request("x"), jobID: "job_b", owner: toOwner("other") };
    expect(pool.acquireLease(other, () => ({ slots: 1, gpu: null }), NOW + 200_000)).not.toBeNull();
    expect(pool.renewLeases([lease], NOW + 200_000)).toEqual([{ lease, isTaken: true }]); // it keeps the job
    expect(pool.poolState(NOW + 200_000).leases.map(({ id }) => id)).toEqual(["x"]);
  } finally {
    pool.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
});

test("thousands of queued jobs are read in their order and as far as they are looked at, without those of dead processes", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "leases-"));
  const pool = await openPoolStore(stateDir);
  try {
    const owner = toOwner("me");
    const dead = toOwner("dead").replace(/^\d+/, "4194399");
    // Hundreds in the same moment, and one that came back later with an earlier place.
    const since = (n: number) => NOW + Math.floor(n / 400);
    const jobs = Array.from({ length: 2_500 }, (_, n) => ({
      ...{ jobID: `job_${n}`, since: since(n), gpu: n === 7 ? "H100:2|T4" : null },
      owner: n % 100 === 99 ? dead : owner,
    }));
    pool.enqueue(jobs, NOW);
    pool.enqueue([{ jobID: "back", owner, since: NOW - 0.5, gpu: null }], NOW);
    const alive = jobs.filter((job) => job.owner === owner).map(({ jobID }) => jobID);
    const { queue } = pool.poolState(NOW);
    expect([...queue].map(({ jobID }) => jobID)).toEqual(["back", ...alive]);
    const [first] = queue; // from the beginning again
    expect(first).toEqual({ jobID: "back", owner, since: NOW - 0.5, gpus: [] } as never);
    expect([...queue].find(({ jobID }) => jobID === "job_7")?.gpus).toMatchObject([{ type: "H100" }, { type: "T4" }]);
    const places = pool.positions(["job_2498", "job_0", "back", "job_99", "unknown"], NOW);
    expect(Object.fromEntries(places)).toEqual({ back: 1, job_0: 2, job_2498: alive.length + 1 });
    expect([pool.queuedUntil(NOW - 1, NOW), pool.queuedUntil(NOW, NOW), pool.queuedUntil(NOW * 2, NOW)]).toEqual([
      ...[0, 1 + 396],
      alive.length + 1,
    ]);
    expect([pool.isShared(owner, NOW), pool.isShared(toOwner("other"), NOW)]).toEqual([false, true]);
    expect([...pool.poolState(NOW + 60_000).queue]).toEqual([]); // nobody has renewed them
  } finally {
    pool.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
});
