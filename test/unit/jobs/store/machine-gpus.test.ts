import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { gpusOf } from "../../../../src/config/gpu.ts";
import { createLine } from "../../../../src/core/admission.ts";
import { toOwner } from "../../../../src/jobs/store/lease-store.ts";
import { openPoolStore, type PoolStore } from "../../../../src/jobs/store/pool-store.ts";
import type { MachineGpu } from "../../../../src/sandboxes/machine-gpus.ts";

const NOW = 1_000_000;
const H100 = "NVIDIA H100 80GB HBM3";
const MACHINE: MachineGpu[] = [H100, "NVIDIA GeForce RTX 4090", H100].map((name, id) => ({ id: String(id), name }));
const LIMITS = { maxRunningJobs: 8, gpus: { total: 10 }, machine: MACHINE };
const DEAD = toOwner("dead").replace(/^\d+/, "4194399");
const wanted = (text: string) => gpusOf(text).map((gpu) => ({ ...gpu, onMachine: true }));

/** As a process does that admits a job. */
function acquire(pool: PoolStore, jobID: string, gpu: string, owner: string, now = NOW) {
  const request = { id: `lease_${jobID}_${owner.slice(-20)}`, jobID, orchestrator: "ses_o", owner };
  return pool.acquireLease(
    request,
    (state) => {
      const choice = createLine(state, LIMITS, now).choose(jobID, wanted(gpu));
      return choice && { slots: 1, ...choice };
    },
    now,
  );
}

async function withPools(use: (pools: readonly PoolStore[]) => Promise<void> | void): Promise<void> {
  const stateDir = mkdtempSync(join(tmpdir(), "leases-"));
  const pools = [await openPoolStore(stateDir), await openPoolStore(stateDir)];
  try {
    await use(pools);
  } finally {
    for (const pool of pools) pool.close();
    rmSync(stateDir, { recursive: true, force: true });
  }
}

test("a GPU of this machine is one job's at a time, in whatever process, and free after its end and its process's", () =>
  withPools(([one, other]) => {
    if (!one || !other) throw new Error("two are needed");
    const [a, b] = [toOwner("a"), toOwner("b")];
    expect(acquire(one, "j1", "H100", a)).toMatchObject({ gpu: { type: "H100", onMachine: true }, devices: ["0"] });
    expect(acquire(other, "j2", "H100|any", b)?.devices).toEqual(["2"]);
    expect(acquire(other, "j3", "H100", b)).toBeNull();
    expect(acquire(other, "j3", "H100|any", b)).toMatchObject({ gpu: { type: "RTX-4090" }, devices: ["1"] });
    expect(acquire(one, "j4", "any", a)).toBeNull();
    one.releaseLease(`lease_j1_${a.slice(-20)}`);
    expect(acquire(other, "j4", "any", DEAD)?.devices).toEqual(["0"]);
    expect(acquire(one, "j5", "any", a)?.devices).toEqual(["0"]); // nobody runs j4 any more
    expect(one.poolState(NOW).leases.map(({ devices }) => devices)).toEqual([["2"], ["1"], ["0"]]);
  }));

test("a job that goes on keeps the GPU that its sandbox has", () =>
  withPools(([pool]) => {
    if (!pool) throw new Error("one is needed");
    const owner = toOwner("a");
    const first = acquire(pool, "j1", "H100", owner);
    const second = acquire(pool, "j2", "H100", owner);
    if (!first || !second) throw new Error("both fit");
    pool.renewLeases([{ ...second, slots: 0 }], NOW); // it has ended, and its sandbox lives on
    pool.releaseLease(first.id);
    expect(acquire(pool, "j2", "H100", owner)?.devices).toEqual(["2"]);
  }));

test("a process that was stopped for a while keeps its GPUs, and a dead one does not", () =>
  withPools(([pool]) => {
    if (!pool) throw new Error("one is needed");
    const owner = toOwner("a");
    acquire(pool, "j1", "RTX-4090", owner);
    acquire(pool, "j2", "H100:2", DEAD);
    const later = NOW + 10 * 60_000;
    expect(acquire(pool, "j3", "RTX-4090", toOwner("b"), later)).toBeNull();
    expect(acquire(pool, "j4", "H100:2", toOwner("b"), later)?.devices).toEqual(["0", "2"]);
  }));

test("earlier versions see a job without GPUs, not one of Modal's", () =>
  withPools(([pool]) => {
    if (!pool) throw new Error("one is needed");
    const owner = toOwner("a");
    pool.enqueue([{ jobID: "q", owner, since: NOW, gpu: "any:2|H100", isOnMachine: true }], NOW);
    expect([...pool.poolState(NOW).queue][0]?.gpus).toMatchObject([{ type: "any", count: 2, onMachine: true }, { type: "H100", onMachine: true }]); // biome-ignore format: one line
    pool.leaveQueue("q");
    pool.enqueue([{ jobID: "q", owner, since: NOW, gpu: "H100" }], NOW + 2_000);
    acquire(pool, "x", "any", owner, NOW + 2_000); // clears what belongs to nobody
    expect([...pool.poolState(NOW).queue][0]?.gpus).toEqual([{ type: "H100", count: 1, exact: false }]);
  }));

test("no device is in two leases, whatever two processes take, release and renew", async () => {
  const step = fc.record({
    process: fc.nat(1),
    job: fc.nat(4),
    gpu: fc.constantFrom("any", "H100", "H100:2|RTX-4090", "any:2", "any:3"),
    does: fc.constantFrom("acquire", "acquire", "release", "end"),
    laterMs: fc.constantFrom(0, 500, 40_000),
  });
  await withPools(async (pools) => {
    const owners = [toOwner("a"), toOwner("b")];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        let now = NOW;
        for (const { process, job, gpu, does, laterMs } of steps) {
          const [pool, owner] = [pools[process], owners[process]];
          if (!pool || !owner) throw new Error("two are needed");
          now += laterMs;
          const mine = pool.poolState(now).leases.filter((lease) => lease.jobID === `j${job}` && lease.owner === owner);
          if (does === "acquire") acquire(pool, `j${job}`, gpu, owner, now);
          else if (does === "release") for (const { id } of mine) pool.releaseLease(id);
          else pool.renewLeases(mine.map((lease) => ({ ...lease, slots: 0 as const })), now); // biome-ignore format: one line
          for (const each of pools) {
            const given = each.poolState(now).leases.flatMap(({ devices }) => devices ?? []);
            expect(new Set(given).size).toBe(given.length);
          }
        }
        for (const { id } of pools[0]?.poolState(now).leases ?? []) pools[0]?.releaseLease(id);
      }),
      { numRuns: 40 },
    );
  });
});
