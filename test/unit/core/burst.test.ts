import { expect, test } from "bun:test";
import fc from "fast-check";
import { burstGpuSeconds, burstHolder, isEnough, withoutBurst } from "../../../src/core/burst.ts";
import { NEW_BURST } from "../../../src/core/burst-state.ts";
import { chooseForCommand, isWaitedFor } from "../../../src/core/command-gpus.ts";
import {
  computeUsd,
  NO_COMPUTE,
  openBurst,
  openCompute,
  runningUsd,
  settleBurst,
  settleCompute,
} from "../../../src/core/cost.ts";
import type { Job } from "../../../src/core/job.ts";

const HOUR = 3_600_000;
const gpu = (type: string, count = 1, exact = false) => ({ type, count, exact });
const limits = { maxRunningJobs: 2, gpus: { total: 4, H100: 2 } };

test("GPUs do for a command that asks for no more of the same type, or for any", () => {
  const held = gpu("H100", 2);
  expect([[gpu("H100")], [gpu("H100", 2)], [gpu("T4"), gpu("H100")], [gpu("any")]].map((wanted) => isEnough(held, wanted))).toEqual([true, true, true, true]);
  expect([[gpu("H100", 3)], [gpu("T4")], [gpu("H100", 1, true)], []].map((wanted) => isEnough(held, wanted))).toEqual([false, false, false, false]);
}); // biome-ignore format: tables

test("a command needs no slot, keeps to the limits, and comes after jobs that wait for GPUs and have a slot", () => {
  const holder = burstHolder("job_a");
  const choose = (gpus: ReturnType<typeof gpu>[], leases: object[], queue: object[] = []) =>
    chooseForCommand(holder, gpus, { leases: leases as never, queue: queue as never }, limits, 1_000)?.gpu ?? null;
  const running = { slots: 1, gpu: null };
  expect(choose([gpu("H100", 2)], [running, running])).toEqual(gpu("H100", 2)); // no slot is free
  expect(choose([gpu("H100", 2), gpu("T4")], [running, { slots: 0, gpu: gpu("H100") }])).toEqual(gpu("T4"));
  expect(choose([gpu("T4")], [{ slots: 0, gpu: gpu("A100", 4) }])).toBeNull();
  const before = { jobID: "job_b", since: 0, gpus: [gpu("H100", 2)] };
  expect(choose([gpu("H100")], [running], [before])).toBeNull();
  expect(choose([gpu("H100")], [running, running], [before])).toEqual(gpu("H100")); // the other waits for a slot: neither would go on
  expect(choose([gpu("H100")], [running], [{ jobID: holder, since: 0, gpus: [gpu("H100")], needsNoSlot: true }, before])).toEqual(gpu("H100"));
}); // biome-ignore format: tables

test("GPUs are waited for by whoever could start with them, not by whoever waits for a slot", () => {
  const lease = { slots: 0 as const, gpu: gpu("H100", 2) };
  const queue = [{ jobID: "job_b", since: 0, gpus: [gpu("H100")] }];
  expect(isWaitedFor(lease, { leases: [lease], queue }, limits)).toBeTrue();
  const full = [lease, { slots: 1 as const, gpu: null }, { slots: 1 as const, gpu: null }];
  expect(isWaitedFor(lease, { leases: full, queue }, limits)).toBeFalse();
  expect(isWaitedFor(lease, { leases: full, queue: [{ ...queue[0], needsNoSlot: true }] as never }, limits)).toBeTrue();
  expect(isWaitedFor(lease, { leases: [lease], queue: [{ jobID: "c", since: 0, gpus: [gpu("T4")] }] }, limits)).toBeFalse();
}); // biome-ignore format: tables

test("what a second sandbox costs counts beside the first, once, in whatever order they end", () => {
  const own = openCompute(NO_COMPUTE, { least: 1, most: 1 }, 0, null);
  const both = openBurst(own, { least: 4, most: 4 }, HOUR, 3 * HOUR);
  expect([computeUsd(both, 2 * HOUR), runningUsd(both), computeUsd(both, 9 * HOUR)]).toEqual([6, 5, 17]);
  const ends = [settleBurst(settleCompute(both, 2 * HOUR), 2 * HOUR), settleCompute(settleBurst(both, 2 * HOUR), 2 * HOUR)];
  for (const ended of ends) expect([computeUsd(ended, 9 * HOUR), runningUsd(ended)]).toEqual([6, 0]);
}); // biome-ignore format: tables

test("GPU-seconds of a job's commands add up", () => {
  const former = { from: 0, to: 500, gpus: 6 };
  const job = { compute: NO_COMPUTE, burst: { ...NEW_BURST, gpu: "H100:2", since: 1_000 }, formerBursts: [former] } as unknown as Job;
  expect(burstGpuSeconds(job, 6_000)).toBe(13);
  const ended = withoutBurst(job, 6_000);
  expect(ended).toMatchObject({ burst: null, formerBursts: [former, { from: 1_000, to: 6_000, gpus: 2 }] });
  expect(burstGpuSeconds(ended, 9_000)).toBe(13);
  // Nobody saw the end of one whose process was killed: it held its GPUs as long as its sandbox could live, at most.
  const left = { ...job, compute: openBurst(NO_COMPUTE, { least: 1, most: 1 }, 1_000, 4_000) };
  expect(withoutBurst(left, HOUR).formerBursts).toEqual([former, { from: 1_000, to: 4_000, gpus: 2 }]);
  const none = { compute: NO_COMPUTE } as unknown as Job;
  expect(withoutBurst(none, 1)).toBe(none);
}); // biome-ignore format: tables

test("however many commands of a job had GPUs, as many GPU-seconds are known, in order and at their time", () => {
  const times = fc.array(fc.tuple(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 8 })), { minLength: 1, maxLength: 120 });
  fc.assert(
    fc.property(times, (all) => {
      let job = { compute: NO_COMPUTE, burst: null } as unknown as Job;
      let [now, sum] = [0, 0];
      for (const [gap, held, count] of all) {
        const since = now + gap;
        now = since + held;
        sum += (count * held) / 1000;
        job = withoutBurst({ ...job, burst: { ...NEW_BURST, gpu: `H100:${count}`, since } }, now);
      }
      const spans = job.formerBursts ?? [];
      expect(burstGpuSeconds(job, now)).toBeCloseTo(sum, 6);
      expect(spans.length).toBe(Math.min(all.length, 50));
      expect([spans[0]?.from, spans.at(-1)?.to]).toEqual([all[0]?.[0], now]);
      for (const [index, { from, to }] of spans.entries()) expect(from >= (spans[index - 1]?.to ?? 0) && to > from).toBeTrue();
    }),
  );
}); // biome-ignore format: tables
