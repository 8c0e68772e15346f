// The longest context that is known decides, shorter ones smooth it. `--words 1` adds contexts that reach back to the
// beginning of the word.
import { letterMask } from "../lib/data.mjs";
import { available, count, pruneToFit, readTables, tableSections } from "./counted.mjs";
import { Chain } from "./interpolate.mjs";
import { pruneTables } from "./prune.mjs";
import { Contexts } from "./tables.mjs";
import { tuneDiscounts } from "./tune.mjs";

const SHARES = 6;
const HELD_OUT = 0.06;

/** @type {import("./registry.mjs").Model} */
export const ngram = {
  summary: "one chain of pruned n-gram contexts, absolute discounting, discounts tuned on held-out training text",
  defaults: { order: 4, words: 0, fill: 0.98, tune: 3 },
  train(run) {
    const { train, alphabet, params, cap, report } = run;
    const counted = count(train, alphabet, params, SHARES, (i, _n, tables, discounts) => {
      report(i, SHARES + params.tune, () => createPredictor(tables, discounts, alphabet));
    });
    const discounts = learnDiscounts(run, counted);
    const artifactOf = (tables) => ({
      model: "ngram",
      params: { ...params, discounts },
      alphabet,
      sections: tableSections(tables, alphabet),
    });
    const { tables } = pruneToFit(counted, cap * params.fill, artifactOf, (keep, bytes) => {
      report.note(`keep ${keep} of the counts: ${bytes} bytes`);
    });
    return artifactOf(tables);
  },
  load(artifact) {
    return createPredictor(readTables(artifact), artifact.params.discounts, artifact.alphabet);
  },
};

function learnDiscounts({ train, alphabet, params, cap, deadline, report }, whole) {
  if (params.tune === 0) return whole.discounts;
  const cut = Math.floor(train.length * (1 - HELD_OUT));
  const counted = count(train.subarray(0, cut), alphabet, params);
  const keep = Math.min(available(counted), Math.round(cap * params.fill * 1.05));
  const tables = pruneTables(counted.tables, counted.scores, keep);
  const predictorWith = (discounts) => createPredictor(tables, discounts, alphabet);
  return tuneDiscounts(counted.discounts, train.subarray(cut), params.tune, predictorWith, (round, discounts) => {
    report(SHARES + round, SHARES + params.tune, () => predictorWith(discounts));
    return Date.now() < deadline;
  });
}

function createPredictor(tables, discounts, alphabet) {
  const contexts = new Contexts(tables, letterMask(alphabet));
  const chain = new Chain(tables, discounts, alphabet.length);
  return { predict: () => chain.predict(contexts), update: (symbol) => contexts.update(symbol) };
}
