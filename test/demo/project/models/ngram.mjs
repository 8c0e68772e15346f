// The longest context that is known decides, shorter ones smooth it.
import { Chain } from "./chain.mjs";
import { Contexts } from "./contexts.mjs";
import { countStrings, pruneToFit, readTable, tableSections } from "./tables.mjs";

const SHARES = 8;

/** @type {import("./registry.mjs").Model} */
export const ngram = {
  summary: "one chain of n-gram contexts, the most frequent ones kept",
  defaults: { order: 4, fill: 0.98 },
  train({ train, alphabet, params, cap, report }) {
    const counts = countStrings(train, params.order, SHARES, (i, n, trie) => {
      report(i, n, () => createPredictor(trie, params.order, alphabet));
    });
    const artifactOf = (trie) => ({ model: "ngram", params, alphabet, sections: tableSections(trie) });
    return artifactOf(pruneToFit(counts, cap * params.fill, artifactOf, report.fit));
  },
  load({ params, alphabet, sections }) {
    return createPredictor(readTable(sections), params.order, alphabet);
  },
};

function createPredictor(trie, order, alphabet) {
  const contexts = new Contexts(trie, order);
  const chain = new Chain(trie, order, alphabet.length);
  return { predict: () => chain.predict(contexts), update: (symbol) => contexts.update(symbol) };
}
