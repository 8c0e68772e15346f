import type { JobView } from "../../src/views/job-view.ts";
import type { Leaderboard, LeaderboardEntry } from "../../src/views/leaderboard.ts";
import { createSampleLab, iso, START, sampleJob, sampleView } from "./sample-lab.ts";

/** Job text that would be markup, escape codes, or words that read backwards. */
export const HOSTILE = '<img src=x onerror="document.title=1"><script>alert(1)</script> \u202Egnp.exe \u001b[31m';

const STATES = [
  "completed",
  "completed",
  "running",
  "failed",
  "queued",
  "cancelled",
  "starting",
  "interrupted",
] as const;
const GPUS = ["H100", "H100:8", undefined, "T4"] as const;

/** A session of this many jobs and its project's experiments, which look like those of a search over parameters. */
export function createLargeLab(jobs: number, experiments: number) {
  const lab = createSampleLab(
    sampleView(
      "ses_large",
      Array.from({ length: jobs }, (_, index) => largeJob(index)),
      { at: iso(20 * jobs + 900) },
    ),
  );
  lab.ledger = leaderboard(experiments);
  for (let index = 0; index < jobs; index++) {
    const points = Array.from({ length: 120 }, (_, step) => ({
      value: 2.5 / (1 + step / (20 + (index % 7) * 5)) + ((index * 31 + step * 17) % 10) / 200,
      step,
      report: step + 1,
      at: START,
      source: "output" as const,
    }));
    lab.metrics.set(`job_${index}`, new Map([["loss", { points, reports: 120, stride: 1 }]]));
  }
  return lab;
}

function largeJob(index: number): JobView {
  const state = STATES[index % STATES.length] as JobView["state"];
  const begun = index * 20;
  const gpu = GPUS[index % GPUS.length];
  const isEnded = ["completed", "failed", "cancelled"].includes(state);
  return sampleJob(`job_${index}`, {
    kind: index % 5 === 0 ? "agent" : "run",
    description: index === 3 ? HOSTILE : `lr=${index % 9}e-4 depth=${6 + (index % 6)} seed=${index}`,
    state,
    createdAt: iso(begun),
    ...(state !== "queued" && { startedAt: iso(begun + (index % 11) * 15) }),
    ...(isEnded && { endedAt: iso(begun + 400 + (index % 17) * 60) }),
    ...(gpu !== undefined && { gpu }),
    ...(gpu !== undefined && state !== "queued" && { gpuUse: gpuUseOf(index) }),
    ...(index > 0 && index % 3 === 0 && { parent: `job_${Math.floor(index / 4) * 2}` }),
    ...(state === "failed" && {
      error: { code: "command_failed", message: `exit code 1: ${HOSTILE}`, retryable: false },
    }),
    ...(state === "interrupted" && { reason: "its OpenCode process ended" }),
    ...(state !== "queued" && {
      metrics: { loss: { value: 2 - index / 400, step: 119, at: iso(begun), source: "output" } },
    }),
    usd: { model: (index % 5) / 10, compute: (index % 13) / 6 },
    result: `line 1\n${HOSTILE}\nline 3`,
    notes: index === 3 ? [HOSTILE] : [],
  });
}

const gpuUseOf = (index: number) => ({
  ...{ utilization: index % 3 === 0 ? null : index % 100, heldSeconds: 400, measuredSeconds: 380, samples: 20 },
  ...(index % 3 === 0 ? { unmeasured: "its sandbox has no nvidia-smi" } : { now: index % 90 }),
});

const VERDICTS = ["better", "noise", "worse", null] as const;

function leaderboard(count: number): Leaderboard {
  const entries = Array.from({ length: count }, (_, index): LeaderboardEntry => {
    const label = index === 2 ? HOSTILE : `depth ${6 + (index % 6)}`;
    return {
      label,
      standing: index % 10 === 9 ? "running" : "final",
      isSameBenchmark: index % 50 !== 49,
      view: {
        id: `exp_${index}`,
        job: `job_${index}`,
        description: label,
        params: { lr: `${1 + (index % 9)}e-4`, width: 64 * (1 + (index % 8)) },
        metric: "loss",
        direction: "min",
        mean: 1 + index / 2000 + ((index * 7) % 13) / 100,
        ...(index % 2 === 0 && { deviation: 0.004 }),
        n: 1 + (index % 3),
        source: "clean",
        rank: index + 1,
        verdict: VERDICTS[index % VERDICTS.length] as LeaderboardEntry["view"]["verdict"],
        deltaParent: (index % 7) / 100 - 0.03,
        deltaBest: index / 2000,
        usd: ((index * 37) % 400) / 50 + 0.1,
        gpuSeconds: 600,
        gpu: "NVIDIA H100 80GB HBM3",
        createdAt: iso(index),
      },
    };
  });
  return {
    scope: "project",
    metric: "loss",
    missing: null,
    direction: "min",
    directionBy: "name",
    entries,
    count,
    ranked: count,
    all: count,
    otherMetrics: ["accuracy", HOSTILE],
    noise: { value: 0.0041, n: 30, source: "seeds", freedom: 20 },
    control: null,
    areRepeatsEqual: false,
  };
}
