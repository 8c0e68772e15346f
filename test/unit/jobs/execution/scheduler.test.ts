import { expect, test } from "bun:test";
import { type GpuRequest, gpusOf } from "../../../../src/config/gpu.ts";
import type { Job } from "../../../../src/core/job.ts";
import { openScheduler } from "./scheduler-support.ts";

test("starts jobs in the order of arrival, as slots are freed", async () => {
  const { clock, scheduler, started, pool, enqueue, finish } = openScheduler(2);
  enqueue("a", "b", "c", "d");
  expect(started).toEqual([]);
  await clock.advance(0);
  expect(started).toEqual(["a", "b"]);
  expect(scheduler.places(["d"]).get("d")).toMatchObject({
    position: 2,
    reason: expect.stringContaining("behind 1 queued job"),
  });
  await finish("b");
  expect(started).toEqual(["a", "b", "c"]);
  scheduler.remove("d");
  await finish("a");
  await finish("c");
  expect([started.length, scheduler.places(["d"]).get("d"), pool.queue.size]).toEqual([3, undefined, 0]);
  expect(scheduler.counts()).toMatchObject({ running: 0, queued: 0 });
});

test("starts nothing once it is suspended, and frees leases as runs end", async () => {
  const { clock, scheduler, started, pool, enqueue, finish } = openScheduler(1);
  enqueue("a", "b");
  await clock.advance(0);
  scheduler.suspend();
  await finish("a");
  await clock.advance(60_000);
  expect([started, pool.leases.size, clock.pending()]).toEqual([["a"], 0, 0]);
});

test("starts a job when the only lease of another process is released while the pool is looked at", async () => {
  const { clock, started, pool, inLook, enqueue } = openScheduler(1);
  const others = { id: "lease_o", jobID: "job_o", orchestrator: "ses_x", owner: "2:other" };
  pool.acquireLease(others, () => ({ slots: 1, gpu: null }), clock.now());
  inLook.does = () => pool.releaseLease(others.id);
  enqueue("a");
  await clock.advance(0);
  expect([started, pool.leases.size]).toEqual([[], 0]);
  await clock.advance(10_000);
  expect(started).toEqual(["a"]);
});

test("frees the slot at once of a job that was cancelled while it was queued", async () => {
  const { clock, started, pool, jobs, enqueue } = openScheduler(1);
  enqueue("a", "b");
  jobs.set("a", { ...(jobs.get("a") as Job), state: { kind: "cancelled", since: 0, reason: null } });
  await clock.advance(0);
  expect([started, pool.leases.size]).toEqual([["b"], 1]);
});

test("holds the GPUs of an ended job until its sandbox is terminated, and frees its slot at once", async () => {
  const { clock, scheduler, leases, started, pool, unterminated, enqueue, enqueueWith, finish } = openScheduler(1);
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  unterminated.add("a");
  enqueueWith("b", "H100");
  enqueue("c");
  expect(scheduler.counts().gpus).toEqual({ total: { used: 8, limit: 10 }, H100: { used: 8, limit: 8 } });
  await finish("a");
  expect(started).toEqual(["a", "c"]);
  expect(scheduler.places(["b"]).get("b")).toEqual({
    position: 1,
    reason: "waiting for a running slot (1 of 1 in use)",
  });
  await finish("c");
  expect(scheduler.places(["b"]).get("b")).toEqual({ position: 1, reason: "waiting for 1 H100 (8 of 8 in use)" });
  await clock.advance(40_000);
  expect([...pool.leases.values()]).toMatchObject([{ jobID: "a", slots: 0, gpu: { type: "H100", count: 8 } }]);
  unterminated.delete("a");
  leases.sandboxTerminated("a");
  expect(started).toEqual(["a", "c", "b"]);
});

test("gives a job that is woken before its sandbox is terminated the GPUs it already has", async () => {
  const { clock, started, pool, unterminated, enqueueWith, finish } = openScheduler(1);
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  unterminated.add("a");
  await finish("a");
  enqueueWith("a", "H100:8");
  await clock.advance(0);
  expect(started).toEqual(["a", "a"]);
  expect([...pool.leases.values()]).toMatchObject([{ jobID: "a", slots: 1, gpu: { count: 8 } }]);
});

test("changes a lease to the GPU that was granted, where the limits allow it", async () => {
  const { clock, leases, pool, jobs, started, enqueueWith } = openScheduler(3);
  enqueueWith("a", "H100:8|H200:8");
  enqueueWith("b", "H100:8");
  await clock.advance(0);
  expect(started).toEqual(["a"]);
  const a = jobs.get("a") as Job;
  const [h200, b200] = gpusOf("H200:8|B200:8") as [GpuRequest, GpuRequest];
  expect(leases.claimGpu(a, { ...b200, count: 11 })).toBe(false);
  expect(leases.claimGpu(a, h200)).toBe(true);
  expect([...pool.leases.values()].map(({ jobID, gpu }) => [jobID, gpu?.type])).toEqual([["a", "H200"]]);
  expect(started).toEqual(["a"]); // eight of ten GPUs are still held
});

test("looks at the few queued jobs that are next when one starts, not at the thousands behind them", async () => {
  const { clock, scheduler, started, pool, enqueue, finish } = openScheduler(4);
  const ids = Array.from({ length: 2_000 }, (_, n) => `job ${n}`);
  enqueue(...ids);
  await clock.advance(0);
  expect(started).toEqual(ids.slice(0, 4));
  for (let n = 0; n < 200; n++) {
    const before = pool.looks();
    await finish(ids[n] ?? "");
    expect(started.length).toBe(n + 5);
    expect(pool.looks() - before).toBeLessThan(10);
  }
  expect(started).toEqual(ids.slice(0, 204));
  const before = pool.looks();
  expect(scheduler.places(["job 204", "job 1999", "job 3"])).toEqual(
    new Map([
      ["job 204", { position: 1, reason: "waiting for a running slot (4 of 4 in use)" }],
      ["job 1999", { position: 1_796, reason: "waiting for a running slot (4 of 4 in use, behind 1795 queued jobs)" }],
    ]),
  );
  expect(pool.looks() - before).toBe(0);
});

test("a job that fits starts although thousands that do not fit are queued ahead of it", async () => {
  const { clock, started, enqueueWith } = openScheduler(4);
  enqueueWith("holds all", "H100:8");
  for (let n = 0; n < 2_000; n++) enqueueWith(`wants all ${n}`, "H100:8");
  enqueueWith("fits", null);
  await clock.advance(0);
  expect(started).toEqual(["holds all", "fits"]);
});

test("jobs that wait for budget give up their places once, and take them again when the budget allows it", async () => {
  const { clock, scheduler, started, pool, jobs, enqueue, finish } = openScheduler(1, {
    budget: { ceilingUsd: 1, warnAt: 1, rescueMs: 3_600_000 },
    highestRate: () => 0.4,
  });
  enqueue("a", "b", "c");
  const [a] = [jobs.get("a") as Job];
  jobs.set("a", { ...a, compute: { ...a.compute, usdPerHour: 0.7, since: clock.now() } });
  await clock.advance(0);
  expect([started, [...pool.queue.keys()]]).toEqual([["a"], []]);
  expect(scheduler.places(["c", "b"])).toEqual(
    new Map([
      ["b", { position: 1, reason: expect.stringContaining("waiting for budget") }],
      ["c", { position: 2, reason: expect.stringContaining("waiting for budget") }],
    ]),
  );
  jobs.set("a", { ...(jobs.get("a") as Job), compute: a.compute, state: { kind: "completed", since: 0, result: "" } });
  await finish("a");
  expect([started, [...pool.queue.keys()]]).toEqual([["a", "b"], ["c"]]);
});

const CALLS = ["acquireLease", "poolState", "update", "renewLeases", "releaseLease", "enqueue", "leaveQueue"] as const;
for (const call of CALLS) {
  test(`loses no job while "${call}" of a store fails`, async () => {
    const { clock, started, failing, loggedProblems, enqueue, finish } = openScheduler(1);
    if (call === "enqueue") failing.add(call);
    enqueue("a", "b");
    if (call === "renewLeases" || call === "releaseLease") await clock.advance(0);
    failing.add(call);
    await clock.advance(6_000);
    if (call === "releaseLease") await finish("a");
    await clock.advance(6_000);
    failing.delete(call);
    await clock.advance(6_000);
    expect(started[0]).toBe("a");
    await finish("a");
    await clock.advance(60_000);
    expect(started).toEqual(["a", "b"]);
    await finish("b");
    expect(loggedProblems.length).toBeGreaterThan(0);
  });
}
