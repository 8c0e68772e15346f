// Context mixing: every context length is an expert, and a mixer learns which to believe when. `--cache n` adds an
// expert that remembers the text scored so far in contexts up to length n; it starts empty and pays no bytes.
import { letterMask } from "../lib/data.mjs";
import { available, count, pruneToFit, readTables, tableSections } from "./counted.mjs";
import { Chain, interpolate } from "./interpolate.mjs";
import { Mixer } from "./mixer.mjs";
import { pruneTables } from "./prune.mjs";
import { Contexts, createTables } from "./tables.mjs";

const HELD_OUT = 0.12;
const CACHE_DISCOUNTS = [0.6, 0.9, 1.1];

/** @type {import("./registry.mjs").Model} */
export const mix = {
  summary: "context mixing: all orders and the word so far, weights learned on held-out training text",
  defaults: { order: 5, words: 1, cache: 0, fill: 0.8, passes: 3, rate: 0.005, adapt: 0.001 },
  train({ train, alphabet, params, cap, deadline, parent, report }) {
    const weights = learnWeights({ train, alphabet, params, cap, deadline, parent, report });
    const counted = count(train, alphabet, params);
    const artifactOf = (tables, discounts) => ({
      model: "mix",
      params: { ...params, discounts },
      alphabet,
      sections: { ...tableSections(tables, alphabet), weights },
    });
    const { tables } = pruneToFit(counted, cap * params.fill, artifactOf, (keep, bytes) => {
      report.note(`keep ${keep} of the counts: ${bytes} bytes`);
    });
    return artifactOf(tables, counted.discounts);
  },
  load(artifact) {
    const { params, alphabet, sections } = artifact;
    // A copy: scoring adapts the weights, and the artifact must stay what it was.
    return new MixPredictor(readTables(artifact), params, alphabet, Float32Array.from(sections.weights));
  },
};

/**
 * Mixing weights, learned where they will be used: on text the counts have not seen. The counts of the training text's
 * first part predict the held-out rest.
 */
function learnWeights({ train, alphabet, params, cap, deadline, parent, report }) {
  const cut = Math.floor(train.length * (1 - HELD_OUT));
  const counted = count(train.subarray(0, cut), alphabet, params);
  const keep = Math.min(available(counted), Math.round(cap * params.fill * 1.45));
  const tables = pruneTables(counted.tables, counted.scores, keep);
  const shape = { ...params, discounts: counted.discounts };
  const weights = inherit(parent, shape) ?? initialWeights(shape);
  const heldOut = train.subarray(cut);
  const steps = params.passes * 4;
  for (let step = 0; step < steps && Date.now() < deadline; step++) {
    const quarter = step % 4;
    const predictor = new MixPredictor(tables, shape, alphabet, weights);
    const rate = params.rate * (1 - step / steps);
    const end = Math.floor((heldOut.length * (quarter + 1)) / 4);
    // The cache is empty at every quarter's beginning, so the weights learn to use it young and old.
    for (let i = Math.floor((heldOut.length * quarter) / 4); i < end; i++) {
      predictor.predict();
      predictor.learn(heldOut[i], rate);
    }
    report(step + 1, steps, () => new MixPredictor(tables, shape, alphabet, Float32Array.from(weights)));
  }
  return weights;
}

const expertsOf = ({ order, words, cache }) => order + (words ? 1 : 0) + (cache > 0 ? 1 : 0);
const setsOf = ({ order, words }) => (order + 1) * (words ? 4 : 1);

/** At first the longest contexts are believed most. */
function initialWeights(shape) {
  const experts = expertsOf(shape);
  const weights = new Float32Array(experts * setsOf(shape)).fill(0.2 / experts);
  for (let set = 0; set < setsOf(shape); set++) weights[set * experts + experts - 1] = 0.8;
  return weights;
}

/** The parent's weights, if its experts are ours. */
function inherit(parent, shape) {
  const weights = parent?.sections.weights;
  return weights && parent.params.order === shape.order && weights.length === expertsOf(shape) * setsOf(shape)
    ? Float32Array.from(weights)
    : null;
}

class MixPredictor {
  constructor(tables, params, alphabet, weights) {
    const mask = letterMask(alphabet);
    this.params = params;
    this.contexts = new Contexts(tables, mask);
    this.chain = new Chain(tables, params.discounts, alphabet.length);
    this.mixer = new Mixer(expertsOf(params), setsOf(params), alphabet.length, weights);
    this.levels = this.chain.levels.slice(1);
    if (params.cache > 0) {
      this.seen = new Contexts(createTables({ order: params.cache, words: 0 }), mask);
      this.scratch = [new Float64Array(alphabet.length), new Float64Array(alphabet.length)];
      this.levels.push(this.scratch[params.cache % 2]);
    }
  }

  predict() {
    const last = this.chain.predict(this.contexts);
    if (this.seen) this.#predictFromSeen(last);
    const position = this.params.words ? Math.min(3, this.contexts.wordLength) : 0;
    return this.mixer.predict(this.levels, this.chain.longest + position * (this.params.order + 1));
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
    const { nodes, tables } = this.seen;
    let from = base;
    for (let depth = 1; depth <= this.params.cache; depth++) {
      const to = this.scratch[depth % 2];
      interpolate(tables.ngrams, nodes[depth], CACHE_DISCOUNTS, from, to);
      from = to;
    }
  }
}
