import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { toOwner } from "../../../../src/jobs/store/lease-store.ts";
import { openPoolStore } from "../../../../src/jobs/store/pool-store.ts";

test("a suspended process keeps its leases until it ends or lets them go, and is named meanwhile", async () => {
  const stateDir = mkdtempSync(join(tmpdir(), "leases-"));
  const pool = await openPoolStore(stateDir);
  const main = join(import.meta.dirname, "lease-main.ts");
  const holder = Bun.spawn([process.execPath, main, stateDir], { stdout: "pipe" });
  try {
    await holder.stdout.getReader().read(); // it has the lease
    process.kill(holder.pid, "SIGSTOP");
    const later = Date.now() + 3_600_000;
    const request = { id: "mine", jobID: "job_1", orchestrator: "ses_o", owner: toOwner("me") };
    const acquire = () => pool.acquireLease(request, () => ({ slots: 1, gpu: null }), later);
    expect(pool.isLeaseAlive("lease_1", later)).toBe(true);
    expect(acquire()).toBeNull();
    expect(pool.poolState(later).leases).toMatchObject([{ id: "lease_1", slots: 1 }]);
    expect(pool.silentHolder("lease_1", later)).toBe(String(holder.pid));
    expect(pool.silentHolder("lease_1", Date.now())).toBeNull();
    process.kill(holder.pid, "SIGKILL");
    await holder.exited;
    expect(pool.isLeaseAlive("lease_1", Date.now())).toBe(false);
    expect(acquire()).toMatchObject({ id: "mine" });

    pool.leave(request.owner); // its instance is gone, and its process goes on
    expect([later + 29_000, later + 31_000].map((at) => pool.isLeaseAlive("mine", at))).toEqual([true, false]);
  } finally {
    holder.kill("SIGKILL");
    pool.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
});
