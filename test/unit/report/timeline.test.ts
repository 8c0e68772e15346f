import { expect, test } from "bun:test";
import { timeline } from "../../../src/report/html/timeline.ts";
import { iso, sampleJob } from "../../support/sample-lab.ts";

const most = (...jobs: Parameters<typeof sampleJob>[1][]) => {
  const { markup } = timeline(
    jobs.map((job, index) => sampleJob(`job_${index}`, { createdAt: iso(0), startedAt: iso(0), ...job })),
    iso(9_000),
  );
  return /GPUs held, at most (\d+)/.exec(markup)?.[1];
};

test("counts the GPUs that sandboxes and single commands held, and none of an interrupted job", () => {
  const commands = [{ gpus: 4, from: iso(100), to: iso(900) }];
  expect(most({ state: "interrupted", gpu: "H100:8" })).toBeUndefined();
  expect(most({ state: "completed", endedAt: iso(2_000), commandGpus: commands })).toBe("4");
  expect(most({ state: "running", gpu: "H100:2", commandGpus: commands })).toBe("6");
  const now = [...commands, { gpus: 1, from: iso(8_000) }];
  expect(most({ state: "running", gpu: "H100:8", gpuOfCommand: true, commandGpus: now })).toBe("4");
});
