// Context mixing: every context length is an expert, and a mixer learns which to believe when. `--cache n` adds an
// expert that remembers the text scored so far in contexts up to length n; it starts empty and costs no bytes.
import { Chain, interpolate } from "./chain.mjs";
import { Contexts } from "./contexts.mjs";
import { Mixer } from "./mixer.mjs";
import { countStrings, prune, pruneToFit, readTable, tableSections } from "./tables.mjs";
import { Trie } from "./trie.mjs";

const HELD_OUT = 0.12;

/** @type {import("./registry.mjs").Model} */
export const mix = {
  summary: "context mixing: all orders, weights learned on held-out training text",
  defaults: { order: 5, cache: 0, fill: 0.8, passes: 3, rate: 0.005, adapt: 0.001 },
  train(run) {
    const { train, alphabet, params, cap, report } = run;
    const weights = learnWeights(run);
    const artifactOf = (trie) => ({ model: "mix", params, alphabet, sections: { ...tableSections(trie), weights } });
    return artifactOf(pruneToFit(countStrings(train, params.order), cap * params.fill, artifactOf, report.fit));
  },
  load({ params, alphabet, sections }) {
    // A copy: scoring adapts the weights, and the artifact must stay what it was.
    return new MixPredictor(readTable(sections), params, alphabet, Float32Array.from(sections.weights));
  },
};

/**
 * Mixing weights, learned where they will be used: on text the counts have not seen. The counts of the training text's
 * first part predict the held-out rest.
 */
function learnWeights({ train, alphabet, params, cap, deadline, parent, report }) {
  const cut = Math.floor(train.length * (1 - HELD_OUT));
  const trie = prune(countStrings(train.subarray(0, cut), params.order), Math.round(cap * params.fill));
  const weights = inherit(parent, params) ?? initialWeights(params);
  const heldOut = train.subarray(cut);
  const steps = params.passes * 4;
  for (let step = 0; step < steps && Date.now() < deadline; step++) {
    const quarter = step % 4;
    const predictor = new MixPredictor(trie, params, alphabet, weights);
    const rate = params.rate * (1 - step / steps);
    const end = Math.floor((heldOut.length * (quarter + 1)) / 4);
    // The cache is empty at the beginning of every quarter, so the weights learn to use it young and old.
    for (let i = Math.floor((heldOut.length * quarter) / 4); i < end; i++) {
      predictor.predict();
      predictor.learn(heldOut[i], rate);
    }
    report(step + 1, steps, () => new MixPredictor(trie, params, alphabet, Float32Array.from(weights)));
  }
  return weights;
}

const expertsOf = ({ order, cache }) => order + (cache > 0 ? 1 : 0);
const setsOf = ({ order }) => order + 1;

/** At first the longest contexts are believed most. */
function initialWeights(params) {
  const experts = expertsOf(params);
  const weights = new Float32Array(experts * setsOf(params)).fill(0.2 / experts);
  for (let set = 0; set < setsOf(params); set++) weights[set * experts + experts - 1] = 0.8;
  return weights;
}

/** The parent's weights, if it has the same experts. */
function inherit(parent, params) {
  const same = parent && parent.params.order === params.order && expertsOf(parent.params) === expertsOf(params);
  return same ? Float32Array.from(parent.sections.weights) : null;
}

class MixPredictor {
  constructor(trie, params, alphabet, weights) {
    this.params = params;
    this.contexts = new Contexts(trie, params.order);
    this.chain = new Chain(trie, params.order, alphabet.length);
    this.mixer = new Mixer(expertsOf(params), alphabet.length, weights);
    this.levels = this.chain.levels.slice(1);
    if (params.cache > 0) {
      this.seen = new Contexts(new Trie(), params.cache);
      this.scratch = [new Float64Array(alphabet.length), new Float64Array(alphabet.length)];
      this.levels.push(this.scratch[params.cache % 2]);
    }
  }

  predict() {
    const last = this.chain.predict(this.contexts);
    if (this.seen) this.#predictFromSeen(last);
    return this.mixer.predict(this.levels, this.chain.longest);
  }

  update(symbol) {
    this.learn(symbol, this.params.adapt);
  }

  learn(symbol, rate) {
    this.mixer.update(symbol, rate);
    this.contexts.update(symbol);
    this.seen?.learn(symbol);
  }

  /** The static prediction, sharpened by what followed the same contexts in the text seen so far. */
  #predictFromSeen(base) {
    let from = base;
    for (let depth = 1; depth <= this.params.cache; depth++) {
      const to = this.scratch[depth % 2];
      interpolate(this.seen.trie, this.seen.nodes[depth], from, to);
      from = to;
    }
  }
}
