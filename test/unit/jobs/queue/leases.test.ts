import { describe, expect, test } from "bun:test";
import { type GpuRequest, gpusOf } from "../../../../src/config/gpu.ts";
import type { Job } from "../../../../src/core/job.ts";
import { createLeases, type LeaseEvent } from "../../../../src/jobs/queue/leases.ts";
import { LEASE_RENEW_MS } from "../../../../src/jobs/store/lease-store.ts";
import { createFakeClock } from "../../../support/fake-clock.ts";
import { jobIn } from "../../views/job-in.ts";
import { createMemoryLeaseStore } from "./memory-lease-store.ts";

const OWNER = "1:me";
const [H100, H200] = gpusOf("H100:8|H200:8") as [GpuRequest, GpuRequest];

/** Leases over a store in memory. Events are collected from then on. */
function openLeases() {
  const clock = createFakeClock();
  const store = createMemoryLeaseStore();
  const events: LeaseEvent[] = [];
  const logged: string[] = [];
  let count = 0;
  const leases = createLeases({
    pool: store,
    localQueue: { all: () => [], renew: () => {} },
    limits: { maxRunningJobs: 8, gpus: { total: 10 } },
    owner: OWNER,
    clock,
    ids: (prefix) => `${prefix}_${++count}`,
    log: (level, message) => void logged.push(`${level}: ${message}`),
  });
  leases.on((event) => events.push(event));
  /** Gives the job a slot, and GPUs if any are named. Returns it as running under that lease. */
  const run = (id: string, gpu: GpuRequest | null = null): Job & { state: { kind: "running"; leaseID: string } } => {
    const lease = leases.acquire({ id, orchestrator: "ses_o" }, () => ({ slots: 1, gpu }));
    if (!lease) throw new Error(`no lease for ${id}`);
    const state = { kind: "running", since: clock.now(), leaseID: lease.id } as const;
    return { ...jobIn({ kind: "queued" }, { id }), state };
  };
  return { clock, store, leases, events, logged, run };
}

const FREED: LeaseEvent = { kind: "freed" };

describe("a lease publishes that something is free", () => {
  test("when it is released", () => {
    const { leases, store, events, run } = openLeases();
    const { state } = run("job_1");
    expect(events).toEqual([]);
    leases.release(state.leaseID);
    expect([events, store.leases.size]).toEqual([[FREED], 0]);
  });

  test("only once the release is written, which is tried again every two seconds", async () => {
    const { clock, leases, store, events, logged, run } = openLeases();
    const { state } = run("job_1");
    store.failing.add("releaseLease");
    leases.release(state.leaseID);
    await clock.advance(3_000);
    expect([events, store.leases.size]).toEqual([[], 1]);
    expect(logged).toEqual(Array(2).fill("error: could not free a lease"));
    store.failing.clear();
    await clock.advance(1_000);
    expect([events, store.leases.size]).toEqual([[FREED], 0]);
  });

  test("when its slot is released, and again when the sandbox that holds its GPUs is terminated", () => {
    const { leases, store, events, run } = openLeases();
    const { id, state } = run("job_1", H100);
    leases.releaseSlot(state.leaseID);
    expect([...store.leases.values()]).toMatchObject([{ slots: 0, gpu: H100 }]);
    expect(events).toEqual([FREED]);
    leases.sandboxTerminated(id);
    expect(store.leases.size).toBe(0);
    expect(events.length).toBeGreaterThan(1);
  });

  test("when a sandbox without a lease is terminated: only the budget in reserve for it is free", () => {
    const { leases, events } = openLeases();
    leases.sandboxTerminated("job_1");
    expect(events).toEqual([{ kind: "cost_ended" }]);
  });

  test("when it is changed to other GPUs than it was granted for", () => {
    const { leases, store, events, run } = openLeases();
    const job = run("job_1", H100);
    expect(leases.claimGpu(job, H100)).toBe(true);
    expect(events).toEqual([]); // nothing has changed hands
    expect(leases.claimGpu(job, { ...H200, count: 11 })).toBe(false);
    expect(events).toEqual([]);
    expect(leases.claimGpu(job, H200)).toBe(true);
    expect(events).toEqual([FREED]);
    expect([...store.leases.values()].map(({ gpu }) => gpu)).toEqual([H200]);
  });
});

test("a running job keeps its lease when its former sandbox is terminated", () => {
  const { leases, store, run } = openLeases();
  const { id } = run("job_1", H100);
  leases.sandboxTerminated(id);
  expect([...store.leases.values()]).toMatchObject([{ jobID: id, slots: 1 }]);
});

test("another process's request to cancel a job is published at the next renewal, once, with its lease", async () => {
  const { clock, leases, store, events, run } = openLeases();
  const { id, state } = run("job_1");
  run("job_2");
  store.askToCancel(state.leaseID, "no longer wanted");
  store.askToCancel("lease_other", null);
  await clock.advance(LEASE_RENEW_MS - 1);
  expect(events).toEqual([]);
  await clock.advance(10 * LEASE_RENEW_MS);
  const lease = expect.objectContaining({ id: state.leaseID, jobID: id });
  expect(events).toEqual([{ kind: "cancel_requested", lease, reason: "no longer wanted" }]);
  leases.stop();
});

test("a listener that throws is logged and keeps no other listener from the event", () => {
  const { leases, events, logged, run } = openLeases();
  leases.on(() => {
    throw new Error("broken listener");
  });
  const after: LeaseEvent[] = [];
  leases.on((event) => after.push(event));
  leases.release(run("job_1").state.leaseID);
  expect([events, after]).toEqual([[FREED], [FREED]]);
  expect(logged).toEqual(["error: a listener failed"]);
});
