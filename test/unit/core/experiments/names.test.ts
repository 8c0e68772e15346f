import { expect, test } from "bun:test";
import { guessDirection } from "../../../../src/core/experiments/direction.ts";
import { seedOf, withoutSeeds } from "../../../../src/core/experiments/seeds.ts";

test("which values are better is guessed from names that say it, and from no other", () => {
  const of = (direction: "min" | "max" | null, ...names: string[]) =>
    expect(names.map((name) => [name, guessDirection(name)])).toEqual(names.map((name) => [name, direction]));
  of("min", "loss", "val_loss", "val/bpb", "valLoss", "test-error", "perplexity", "step_ms", "accuracy_loss", "WER");
  of("max", "acc", "val_acc", "F1", "eval/accuracy", "reward", "tokens_per_second", "tok/s", "loss_reduction_score");
  of("max", "neg_log_loss", "test_neg_mean_squared_error", "log_likelihood", "ms_ssim", "psnr", "loss_improvement");
  of("min", "negative_log_likelihood", "neg_log_likelihood", "accuracy_drop", "mean_rank", "rank", "score_degradation");
  of("max", "mean_reciprocal_rank", "val/mrr", "spearman_rank", "spearman_rank_corr", "pearson_correlation", "ndcg@10");
  of(
    "min",
    "time_to_accuracy",
    "steps_to_target",
    "time_to_first_token",
    "val_steps_to_loss_3",
    "latency_ms",
    "avg_ms",
  );
  of("min", "ms_per_step", "seconds_per_step", "cost_per_step", "errors_per_second", "bytes_per_step", "loss_per_s");
  of("max", "bytes_per_second", "steps_per_sec", "reward_per_step", "recall_at_k", "success_rate", "f1_macro");
  of(null, "time_to_failure", "effective_rank", "rank_correlation", "lora_rank", "negative_rate", "neg_accuracy");
  of("min", "fid_score", "brier_score");
  of("max", "neg_brier_score", "neg_root_mean_squared_error");
  of(null, "time_score", "cost_score");
  of(null, "loss_reduction", "loss_drop", "reward_std", "loss_scale", "accuracy_gap", "batch_size", "ms_marco");
  of(null, "time_saved", "cost_savings", "time_left", "bytes_remaining");
  of(null, "quux", "lr", "step", "constructor", "__proto__", "", "classification");
});

test("a parameter is a seed by its name, in any case and place of words", () => {
  const params = { LR: 1, SEED: 2, rng_seed: "x", seeds: 3, SEEDLING: 4 };
  expect(seedOf(params)).toBe("2 x");
  expect(withoutSeeds(params)).toEqual([
    ["LR", 1],
    ["SEEDLING", 4],
    ["seeds", 3],
  ]);
  expect(seedOf({ LR: 1 })).toBeNull();
});
