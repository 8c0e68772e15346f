import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type GpuRequest, gpusOf } from "../../../src/config/gpu.ts";
import {
  type AdmissionLimits,
  BACKFILL_WINDOW_MS,
  canChangeGpu,
  canEverFit,
  countGpus,
  createLine,
  describeWait,
  type LeaseUse,
  type QueueEntry,
} from "../../../src/core/admission.ts";

const NOW = 1_000_000_000;
const limits: AdmissionLimits = { maxRunningJobs: 8, gpus: { total: 10, H100: 8 } };
const lease = (gpu: string | null, slots: 0 | 1 = 1): LeaseUse => ({ slots, gpu: gpusOf(gpu)[0] ?? null });
const slots = (count: number) => Array.from({ length: count }, () => lease(null));
const inWindow = (gpu: string | null): QueueEntry => ({
  jobID: "in window",
  since: NOW - BACKFILL_WINDOW_MS + 1,
  gpus: gpusOf(gpu),
});
const overdue = (gpu: string | null): QueueEntry => ({
  jobID: "overdue",
  since: NOW - BACKFILL_WINDOW_MS,
  gpus: gpusOf(gpu),
});
type Asked = [gpu: string | null, leases: LeaseUse[], ahead?: QueueEntry[]];
const choose = ([gpu, leases, ahead = []]: Asked) => {
  const held = leases.map((one, n) => ({ ...one, jobID: `running ${n}` }));
  return createLine({ leases: held, queue: ahead }, limits, NOW).choose("next", gpusOf(gpu));
};
const granted = (...asked: Asked): string | null => {
  const choice = choose(asked);
  return choice && (choice.gpu ? `${choice.gpu.type}:${choice.gpu.count}` : "none");
};
const reason = (...asked: Asked) => {
  const [gpu, leases, ahead = []] = asked;
  return choose(asked) ? null : describeWait(gpusOf(gpu), leases, ahead.length, limits);
};

test("admits a job while slots remain for it and for the jobs ahead of it", () => {
  expect(granted(null, [])).toBe("none");
  expect(granted(null, slots(7))).toBe("none");
  expect(granted(null, slots(5), [inWindow(null), inWindow(null)])).toBe("none");
  expect(granted(null, slots(6), [inWindow(null), inWindow(null)])).toBeNull();
  expect(granted(null, slots(8))).toBeNull();
});

test("counts GPUs, not sandboxes, by type and in total", () => {
  expect(granted("H100:4", [lease("H100:4")])).toBe("H100:4");
  expect(granted("H100:4", [lease("H100:4"), lease("H100!")])).toBeNull();
  expect(granted("H200:4", [lease("H100:4"), lease("T4:2")])).toBe("H200:4");
  expect(granted("H200:4", [lease("H100:4"), lease("T4:3")])).toBeNull();
  expect(countGpus([lease("H100:4"), lease("T4"), lease(null)], limits.gpus)).toEqual({
    total: { used: 5, limit: 10 },
    H100: { used: 4, limit: 8 },
    T4: { used: 1, limit: 10 },
  });
});

test("an idle sandbox of an ended job keeps its GPUs but no slot", () => {
  expect(granted(null, [...slots(7), lease("H100:8", 0)])).toBe("none");
  expect(granted("H100", [lease("H100:8", 0)])).toBeNull();
});

test("grants the first of the preferred GPUs that fits", () => {
  expect(granted("H100:8|H200:8", [])).toBe("H100:8");
  expect(granted("H100:8|H200:8", [lease("H100")])).toBe("H200:8");
  expect(granted("H100:8|H200:8", [lease("H100"), lease("T4:2")])).toBeNull();
});

describe("a waiting job says what it waits for, and behind how many jobs", () => {
  const cases: [string | null, LeaseUse[], QueueEntry[], string][] = [
    [null, slots(8), [], "waiting for a running slot (8 of 8 in use)"],
    [null, slots(8), [inWindow(null)], "waiting for a running slot (8 of 8 in use, behind 1 queued job)"],
    [
      null,
      slots(6),
      [inWindow(null), inWindow(null)],
      "waiting for a running slot (2 of 8 free, but 2 queued jobs go first)",
    ],
    [null, [], Array(8).fill(inWindow(null)), "waiting for a running slot (8 of 8 free, but 8 queued jobs go first)"],
    ["H100", slots(8), [], "waiting for a running slot (8 of 8 in use)"],
    ["H100:8", [lease("H100:4")], [], "waiting for 8 H100 (4 of 8 in use)"],
    ["H100:4", [lease("T4:8")], [], "waiting for 4 H100 (8 of 10 GPUs in use)"],
    ["T4:4", [lease("H100:8")], [], "waiting for 4 T4 (8 of 10 GPUs in use)"],
    ["H100:4", [lease("H100:4")], [overdue("H100:8")], "waiting for 4 H100 (4 of 8 free, but 1 queued job goes first)"],
    ["H100:8|H200:8", [lease("H100:4")], [], "waiting for 8 H100 (4 of 8 in use) or 8 H200 (4 of 10 GPUs in use)"],
  ];
  for (const [gpu, leases, ahead, words] of cases) test(words, () => expect(reason(gpu, leases, ahead)).toBe(words));
});

test("a smaller job starts ahead of a blocked one only in its backfill window; a job of another kind always does", () => {
  const leases = [lease("H100:4")];
  expect(granted("H100:4", leases, [inWindow("H100:8")])).toBe("H100:4");
  expect(granted("H100:4", leases, [overdue("H100:8")])).toBeNull();
  expect(granted(null, leases, [overdue("H100:8")])).toBe("none");
  expect(granted("T4:2", leases, [overdue("H100:8")])).toBeNull(); // too few GPUs of the total would remain
  expect(granted("T4:2", leases, [overdue("H100:5")])).toBeNull();
  expect(granted("T4", leases, [overdue("H100:5")])).toBe("T4:1");
});

test("a job that fits starts in its order, whatever its age", () => {
  expect(granted("H100:4", [lease("H100:4")], [inWindow("H100:4")])).toBeNull();
});

test("a running job may change its GPU within the limits, but not at the cost of an overdue job", () => {
  const [h200] = gpusOf("H200:4") as [GpuRequest];
  const fits = (leases: LeaseUse[], ahead: QueueEntry[]) => canChangeGpu(h200, { leases, ahead }, limits, NOW);
  expect(fits([lease("H100:6")], [])).toBe(true);
  expect(fits([lease("H100:7")], [])).toBe(false);
  expect([fits([], [inWindow("H200:8")]), fits([], [overdue("H200:8")])]).toEqual([true, false]);
});

test("refuses GPUs that the limits could never allow", () => {
  const ever = (gpu: string | null) => canEverFit(gpusOf(gpu), limits.gpus);
  expect([null, "H100:8", "H200:8", "H100:8|H200:8"].map(ever)).toEqual([true, true, true, true]);
  const tight = { total: 6, H100: 4 };
  expect(["H100:5", "H200:7", "H200:6", "H100:8|T4"].map((gpu) => canEverFit(gpusOf(gpu), tight))).toEqual([
    false,
    false,
    true,
    true,
  ]);
});

/** A job of a random workload, in seconds: when it arrives, what it asks for, how long it runs. */
const arrival = fc.record({
  at: fc.integer({ min: 0, max: 600 }),
  gpu: fc.constantFrom(null, null, "T4", "H100", "H100:4", "H100:8", "H200:4", "H100:8|H200:8", "H200:2|T4:2"),
  lasts: fc.integer({ min: 1, max: 300 }),
});

test("under random workloads no limit is exceeded and every job starts eventually", () => {
  fc.assert(
    fc.property(
      fc.array(arrival, { maxLength: 40 }),
      fc.integer({ min: 1, max: 6 }),
      fc.integer({ min: 8, max: 12 }),
      (arrivals, maxRunningJobs, total) => {
        const own: AdmissionLimits = { maxRunningJobs, gpus: { total, H100: 8, T4: 2 } };
        const jobs = arrivals.map((job, index) => ({ ...job, id: `${index}`, use: null as LeaseUse | null, end: 0 }));
        const waiting: typeof jobs = [];
        let running: typeof jobs = [];
        let started = 0;
        const longest = Math.max(0, ...jobs.map(({ lasts }) => lasts));
        for (let second = 0; started < jobs.length; second++) {
          running = running.filter(({ end }) => end > second);
          waiting.push(...jobs.filter(({ at }) => at === second));
          for (const job of [...waiting]) {
            const ahead = waiting
              .slice(0, waiting.indexOf(job))
              .map(({ id, at, gpu }) => ({ jobID: id, since: at * 1000, gpus: gpusOf(gpu) }));
            const leases = running.flatMap(({ id, use }) => (use ? [{ ...use, jobID: id }] : []));
            const choice = createLine({ leases, queue: ahead }, own, second * 1000).choose(job.id, gpusOf(job.gpu));
            if (!choice) continue;
            job.use = { slots: 1, gpu: choice.gpu };
            job.end = second + job.lasts;
            waiting.splice(waiting.indexOf(job), 1);
            running.push(job);
            started++;
          }
          expect(running.length).toBeLessThanOrEqual(maxRunningJobs);
          for (const [type, { used }] of Object.entries(
            countGpus(
              running.flatMap(({ use }) => use ?? []),
              own.gpus,
            ),
          )) {
            expect(used).toBeLessThanOrEqual(own.gpus[type] ?? total);
          }
          // After its backfill window no job passes the head of the queue: it waits for running jobs only.
          const head = waiting[0];
          if (head)
            expect(second - head.at).toBeLessThanOrEqual(
              (BACKFILL_WINDOW_MS / 1000 + longest) * (waiting.length + started),
            );
          if (head && running.length === 0) throw new Error(`a job for ${head.gpu} waits although nothing runs`);
        }
      },
    ),
  );
});

const GPUS = [null, null, "T4", "H100", "H100:4", "H100:8", "H200:4", "H100:8|H200:8", "H200:2|T4:2"];

test("one look at the whole queue decides of each job what a look at those ahead of it alone decides", () => {
  const place = fc.record({
    gpu: fc.constantFrom(...GPUS),
    ageMs: fc.integer({ min: 0, max: 2 * BACKFILL_WINDOW_MS }),
  });
  const held = fc.record({ gpu: fc.constantFrom(...GPUS), slots: fc.constantFrom<0 | 1>(0, 1), by: fc.nat(12) });
  fc.assert(
    fc.property(
      fc.array(place, { maxLength: 12 }),
      fc.array(held, { maxLength: 8 }),
      fc.integer({ min: 1, max: 8 }),
      (places, holds, maxRunningJobs) => {
        const own: AdmissionLimits = { maxRunningJobs, gpus: { total: 12, H100: 8, T4: 2 } };
        const queue = places
          .map(({ gpu, ageMs }): QueueEntry => ({ jobID: "", since: NOW - ageMs, gpus: gpusOf(gpu) }))
          .sort((a, b) => a.since - b.since)
          .map((entry, index) => ({ ...entry, jobID: `job ${index}` }));
        // What a queued job holds was left by an earlier turn: GPUs without a slot.
        const leases = holds.map(({ gpu, slots, by }) => ({
          ...lease(gpu, by < queue.length ? 0 : slots),
          jobID: `job ${by}`,
        }));
        let looks = 0;
        const counted = {
          *[Symbol.iterator]() {
            for (const entry of queue) {
              looks++;
              yield entry;
            }
          },
        };
        const line = createLine({ leases, queue: counted }, own, NOW);
        const alone = queue.map(({ jobID, gpus }, index) => {
          const others = leases.filter((one) => one.jobID !== jobID);
          return createLine({ leases: others, queue: queue.slice(0, index) }, own, NOW).choose(jobID, gpus);
        });
        expect(queue.map(({ jobID, gpus }) => line.choose(jobID, gpus))).toEqual(alone);
        const holders = queue.filter(({ jobID }) => leases.some((one) => one.jobID === jobID));
        if (holders.length === 0) expect(looks).toBeLessThanOrEqual(queue.length);
      },
    ),
  );
});

test("looks no further than at the jobs that slots are left for, however many are queued", () => {
  let looks = 0;
  const queue = {
    *[Symbol.iterator]() {
      for (let n = 0; ; n++) {
        looks++;
        yield { jobID: `job ${n}`, since: NOW, gpus: [] };
      }
    },
  };
  const line = createLine({ leases: [], queue }, limits, NOW);
  const started = Array.from({ length: 2_000 }, (_, n) => line.choose(`job ${n}`, [])).filter((one) => one !== null);
  expect([started.length, looks]).toEqual([8, 8]);
});
