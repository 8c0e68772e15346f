import { expect, test } from "bun:test";
import {
  gpuCount,
  gpuUseWords,
  jobGpuWords,
  percent,
  totalGpuUse,
  unmeasuredWords,
} from "../../../src/views/gpu-totals.ts";
import type { GpuUseView } from "../../../src/views/gpu-use-view.ts";

const NOW = Date.UTC(2026, 0, 1, 12);
const iso = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();
const use = (more: Partial<GpuUseView> = {}): GpuUseView => ({
  ...{ utilization: 50, heldSeconds: 3_600, measuredSeconds: 1_800, samples: 9, ...more },
});
const ended = { state: "completed", gpu: "H100:2", startedAt: iso(7_200), endedAt: iso(3_600) } as const;

test("the share of GPU time used is that of the measured time, and what was not measured is counted with the reason", () => {
  const silent = use({ utilization: null, measuredSeconds: 0, unmeasured: "its sandbox has no nvidia-smi" });
  const jobs = [
    { ...ended, gpuUse: use() },
    { ...ended, gpuUse: use({ utilization: 100 }) },
    { ...ended, gpuUse: silent },
    ended, // an earlier version ran it
    { ...ended, gpu: "none" },
  ];
  const totals = totalGpuUse(jobs, NOW);
  expect(totals).toMatchObject({
    heldSeconds: 3 * 3_600 + 2 * 3_600,
    measuredSeconds: 3_600,
    busySeconds: 2_700,
    share: 0.75,
  });
  if (totals === null) throw new Error("no totals");
  expect([gpuUseWords(totals), ...unmeasuredWords(totals)].join("; ")).toBe(
    "75 % over 1 measured of 5 held GPU hours; not measured of 1 job (its sandbox has no nvidia-smi); not measured of 1 job (nobody measured it)",
  );
  expect(totalGpuUse([ended], NOW)).toMatchObject({ heldSeconds: 7_200, share: null });
  expect(
    totalGpuUse(
      [
        { ...ended, gpu: "none" },
        { ...ended, state: "interrupted" },
      ],
      NOW,
    ),
  ).toBeNull();
});

test.each([
  [use({ utilization: 63.2, heldSeconds: 8_640, measuredSeconds: 7_560 }), "63 % over 2.1 measured of 2.4 held GPU hours"],
  [use({ utilization: 0.3, heldSeconds: 90, measuredSeconds: 60 }), "under 1 % over 60 measured of 90 held GPU seconds"],
  [use({ utilization: 0, heldSeconds: 900, measuredSeconds: 60, now: 0 }), "0 % over 1 measured of 15 held GPU minutes, 0 % now"],
  [use({ utilization: null, unmeasured: "why" }), "not measured in 60 held GPU minutes; why"],
  [use({ memoryMiB: 41_984, memoryTotalMiB: 81_920 }), "50 % over 30 measured of 60 held GPU minutes; at most 41 of 80 GiB in use"],
])("a job's GPU use is said in words", (view, words) => {
  expect(jobGpuWords(view)).toBe(words);
}); // biome-ignore format: a table

test("GPUs are counted as they are written, and a little is not nothing", () => {
  expect(["H100", "H100:8", "A100-80GB:2", "H100:4|H200:8", "L4|T4:2", "none", "", undefined].map(gpuCount)).toEqual([
    1, 8, 2, 4, 1, 0, 0, 0,
  ]);
  expect([0, 0.004, 0.5, 1].map(percent)).toEqual(["0 %", "under 1 %", "50 %", "100 %"]);
});
