import { expect, test } from "bun:test";
import { guessDirection } from "../../../../src/core/experiments/direction.ts";
import { seedOf, withoutSeeds } from "../../../../src/core/experiments/seeds.ts";

test("which values are better is guessed from names that say it, and from no other", () => {
  const of = (direction: "min" | "max" | null, ...names: string[]) =>
    expect(names.map((name) => [name, guessDirection(name)])).toEqual(names.map((name) => [name, direction]));
  of("min", "loss", "val_loss", "val/bpb", "valLoss", "test-error", "perplexity", "step_ms", "accuracy_loss", "WER");
  of("max", "acc", "val_acc", "F1", "eval/accuracy", "reward", "tokens_per_second", "tok/s", "loss_reduction_score");
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
