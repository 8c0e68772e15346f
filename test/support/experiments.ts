import type { Experiment } from "../../src/core/experiments/experiment.ts";

/** The nth experiment of a campaign: four seeds each of variants, every tenth of which others start from. */
export function experimentOf(index: number): Experiment {
  const variant = Math.floor(index / 4);
  const createdAt = 1_760_000_000_000 + index * 1000;
  const at = new Date(createdAt).toISOString();
  const value = (n: number) => 1 + ((variant * 7919 + index * 31 + n * 101) % 1000) / 1000;
  return {
    job: `job_${String(index).padStart(12, "0")}`,
    kind: "run",
    description: variant === 0 ? "baseline" : `variant ${variant}`,
    command: "python train.py",
    params: { LR: variant, SEED: index % 4 },
    metricTexts: {},
    files: [],
    stop: null,
    seed: String(index % 4),
    environment: "default",
    image: null,
    recipe: "recipe",
    provider: "local",
    gpuWanted: null,
    gpu: null,
    devices: [],
    baseTree: "tree",
    baseHead: null,
    fromSnapshot: null,
    parent: variant === 0 ? null : `job_${String(40 * Math.floor(variant / 40)).padStart(12, "0")}`,
    call: "call",
    state: "completed",
    standing: "final",
    exitCode: 0,
    stopped: null,
    results: ["loss", "val_loss", "acc", "step_ms"].map((metric, n) => ({
      metric,
      value: value(n),
      step: 100,
      source: "output",
      at,
    })),
    usd: 0.01,
    ranMs: 1000,
    runningSince: null,
    gpuSeconds: 0,
    createdAt,
    endedAt: createdAt + 1000,
    turns: 0,
    snapshot: `snap_${index}`,
  };
}
