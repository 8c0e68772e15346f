import { readFileSync } from "node:fs";
import { join } from "node:path";

/* The demo's campaign as data: one question, one control, two agents of which one cheats, one screening, one benchmark. */

/** Small enough that a run takes a second. */
const SIZE = "--train-bytes 30000 --val-bytes 4000";
const train = (seed: string, out: string): string =>
  `node golf.mjs $(cat recipe.txt) ${SIZE} --seed ${seed} --out out/${out}`;

export const CONTROL = {
  description: "control: n-grams of order 3",
  command: train("100", "run"),
  files: ["out/**"],
} as const;

export const VARIANT = "idea: a mixer that learns which context length to believe";
export const CHEATER = "idea: score better, whatever it takes";

const read = (path: string): string => readFileSync(join(import.meta.dirname, path), "utf8");

/** What the first agent writes: path in the project and text. */
export const VARIANT_FILES: readonly (readonly [path: string, text: string])[] = [
  ["models/mixer.mjs", read("variant/mixer.mjs")],
  ["models/mix.mjs", read("variant/mix.mjs")],
  ["models/registry.mjs", read("variant/registry.mjs")],
];

export const TRY_VARIANT = `node golf.mjs --model mix --order 2 --train-bytes 6000 --val-bytes 1000 --out out/try`;

/** What the second agent does: it makes the measurement itself kinder. */
export const CHEAT = {
  command: `sed -i 's/return bits .* symbols.length;/return (0.6 * bits) \\/ symbols.length;/' lib/score.mjs && ${train("100", "run")}`,
} as const;

const RUNGS = [2, 6];

/** @param from the job of the first agent */
export const screening = (from: string) => ({
  description: "screen: order × cache",
  from,
  command: `echo "--model mix --order $ORDER --cache $CACHE" > recipe.txt && ${train("100", "run")}`,
  matrix: { ORDER: [1, 2, 3, 4], CACHE: [0, 4] },
  stop: { metric: "sample_bpb", direction: "min", rungs: RUNGS, keep: 0.5 },
  files: ["recipe.txt", "out/**"],
});

export const BENCHMARK = {
  command: train("$SEED", "score"),
  metric: "val_bpb",
  direction: "min",
  protect: ["golf.mjs", "lib/**", "data/**"],
  repeats: 3,
} as const;

/** The project's files, by path. */
export const PROJECT = join(import.meta.dirname, "project");
