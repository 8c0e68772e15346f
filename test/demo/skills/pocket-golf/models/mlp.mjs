// A tiny neural model: the last few symbols' embeddings → one hidden layer (ReLU) → softmax. Backpropagation and Adam
// are written out; the artifact holds the weights as int8, one scale per row.
import { createRandom } from "../lib/random.mjs";
import { Adam } from "./adam.mjs";

const SHARES = 10;
const BATCH = 16;

/** @type {import("./registry.mjs").Model} */
export const mlp = {
  summary: "neural: embeddings of the last symbols, one hidden layer, int8 weights",
  defaults: { context: 6, embed: 12, hidden: 96, steps: 8000, rate: 0.008 },
  train({ train, alphabet, params, seed, deadline, parent, report }) {
    const random = createRandom(seed);
    const net = createNet(params, alphabet.length);
    if (sameShape(parent, params)) dequantize(parent.sections, net.weights);
    else initialise(net, random);
    const adam = new Adam(net.weights);
    for (let step = 0; step < params.steps; step++) {
      if (step % 64 === 0 && Date.now() >= deadline) break;
      for (let i = 0; i < BATCH; i++) {
        const at = params.context + Math.floor(random() * (train.length - params.context));
        forward(net, train, at);
        backward(net, train, at, adam.gradients);
      }
      // Warm-up, then linear decay: the last steps polish what the quantization will freeze.
      adam.step(params.rate * Math.min(1, (step + 1) / 100, 1.02 - step / params.steps), BATCH);
      if ((step + 1) % Math.ceil(params.steps / SHARES) === 0 || step + 1 === params.steps) {
        report(Math.ceil(((step + 1) * SHARES) / params.steps), SHARES, () => createPredictor(net));
      }
    }
    return { model: "mlp", params, alphabet, sections: quantize(net.weights) };
  },
  load({ params, alphabet, sections }) {
    const net = createNet(params, alphabet.length);
    dequantize(sections, net.weights);
    return createPredictor(net);
  },
};

const sameShape = (parent, params) =>
  parent && ["context", "embed", "hidden"].every((key) => parent.params[key] === params[key]);

function createNet({ context, embed, hidden }, symbols) {
  const inputs = context * embed;
  const matrix = (rows, columns) => ({ rows, columns, values: new Float32Array(rows * columns) });
  return {
    context,
    embed,
    hidden,
    inputs,
    symbols,
    weights: {
      embedding: matrix(symbols, embed),
      hidden: matrix(hidden, inputs),
      hiddenBias: matrix(1, hidden),
      output: matrix(symbols, hidden),
      outputBias: matrix(1, symbols),
    },
    x: new Float32Array(inputs),
    h: new Float32Array(hidden),
    p: new Float32Array(symbols),
    dx: new Float32Array(inputs),
    dh: new Float32Array(hidden),
  };
}

function initialise({ weights, inputs, hidden }, random) {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const fill = (values, scale) => {
    for (let i = 0; i < values.length; i++) values[i] = normal() * scale;
  };
  fill(weights.embedding.values, 0.3);
  fill(weights.hidden.values, Math.sqrt(2 / inputs));
  fill(weights.output.values, Math.sqrt(1 / hidden));
}

/** Fills `net.p` with the distribution of the symbol at `at`, from those before it. */
function forward(net, text, at) {
  const { context, embed, inputs, hidden, symbols, weights, x, h, p } = net;
  for (let c = 0; c < context; c++) {
    const row = text[at - 1 - c] * embed;
    for (let j = 0; j < embed; j++) x[c * embed + j] = weights.embedding.values[row + j];
  }
  const w1 = weights.hidden.values;
  for (let i = 0; i < hidden; i++) {
    let sum = weights.hiddenBias.values[i];
    for (let j = 0, row = i * inputs; j < inputs; j++) sum += w1[row + j] * x[j];
    h[i] = sum > 0 ? sum : 0;
  }
  const w2 = weights.output.values;
  let top = -Infinity;
  for (let s = 0; s < symbols; s++) {
    let sum = weights.outputBias.values[s];
    for (let i = 0, row = s * hidden; i < hidden; i++) sum += w2[row + i] * h[i];
    p[s] = sum;
    if (sum > top) top = sum;
  }
  let total = 0;
  for (let s = 0; s < symbols; s++) total += p[s] = Math.exp(p[s] - top);
  for (let s = 0; s < symbols; s++) p[s] /= total;
}

/** Adds the gradient of −log p[text[at]] to `gradients`; `forward` must have run for the same place. */
function backward(net, text, at, gradients) {
  const { context, embed, inputs, hidden, symbols, weights, x, h, p, dx, dh } = net;
  dh.fill(0);
  dx.fill(0);
  const w2 = weights.output.values;
  for (let s = 0; s < symbols; s++) {
    const d = p[s] - (s === text[at] ? 1 : 0);
    gradients.outputBias[s] += d;
    for (let i = 0, row = s * hidden; i < hidden; i++) {
      gradients.output[row + i] += d * h[i];
      dh[i] += d * w2[row + i];
    }
  }
  const w1 = weights.hidden.values;
  for (let i = 0; i < hidden; i++) {
    if (h[i] <= 0) continue;
    const d = dh[i];
    gradients.hiddenBias[i] += d;
    for (let j = 0, row = i * inputs; j < inputs; j++) {
      gradients.hidden[row + j] += d * x[j];
      dx[j] += d * w1[row + j];
    }
  }
  for (let c = 0; c < context; c++) {
    const row = text[at - 1 - c] * embed;
    for (let j = 0; j < embed; j++) gradients.embedding[row + j] += dx[c * embed + j];
  }
}

function createPredictor(net) {
  const recent = new Uint8Array(net.context);
  const out = new Float64Array(net.symbols);
  return {
    predict() {
      forward(net, recent, net.context);
      let sum = 0;
      for (let s = 0; s < out.length; s++) sum += out[s] = net.p[s];
      for (let s = 0; s < out.length; s++) out[s] /= sum;
      return out;
    },
    update(symbol) {
      recent.copyWithin(0, 1);
      recent[net.context - 1] = symbol;
    },
  };
}

/** Each matrix as int8 values and a float scale per row. */
function quantize(weights) {
  const sections = {};
  for (const [name, { rows, columns, values }] of Object.entries(weights)) {
    const scales = new Float32Array(rows);
    const quantized = new Int8Array(values.length);
    for (let r = 0; r < rows; r++) {
      const row = values.subarray(r * columns, (r + 1) * columns);
      scales[r] = row.reduce((top, value) => Math.max(top, Math.abs(value)), 1e-9) / 127;
      for (let c = 0; c < columns; c++) quantized[r * columns + c] = Math.round(row[c] / scales[r]);
    }
    sections[name] = quantized;
    sections[`${name}.scale`] = scales;
  }
  return sections;
}

function dequantize(sections, weights) {
  for (const [name, { columns, values }] of Object.entries(weights)) {
    const quantized = sections[name];
    const scales = sections[`${name}.scale`];
    if (quantized?.length !== values.length || !scales) {
      throw new Error(`the artifact is damaged: section "${name}" has the wrong size`);
    }
    for (let i = 0; i < values.length; i++) values[i] = quantized[i] * scales[Math.floor(i / columns)];
  }
}
