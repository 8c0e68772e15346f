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
    const owner = toOwner("me");
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
  } finally {
    pool.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
});
