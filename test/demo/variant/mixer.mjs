// Logistic mixing: the weighted sum of the experts' log-probabilities, made a distribution again. The weights are
// learned by gradient descent on the bits paid, one set of weights per situation.

export class Mixer {
  /** @param {Float32Array} weights `experts` numbers per situation */
  constructor(experts, symbols, weights) {
    this.experts = experts;
    this.weights = weights;
    this.logs = Array.from({ length: experts }, () => new Float64Array(symbols));
    this.out = new Float64Array(symbols);
    this.set = 0;
  }

  /** @param {Float64Array[]} levels one distribution per expert  @param {number} set which weights to use */
  predict(levels, set) {
    this.set = set;
    const { logs, out, experts, weights } = this;
    out.fill(0);
    for (let e = 0; e < experts; e++) {
      const weight = weights[set * experts + e];
      const log = logs[e];
      const level = levels[e];
      for (let s = 0; s < out.length; s++) {
        log[s] = Math.log(level[s] + 1e-9);
        out[s] += weight * log[s];
      }
    }
    let top = -Infinity;
    for (let s = 0; s < out.length; s++) if (out[s] > top) top = out[s];
    let sum = 0;
    for (let s = 0; s < out.length; s++) sum += out[s] = Math.exp(out[s] - top);
    for (let s = 0; s < out.length; s++) out[s] /= sum;
    return out;
  }

  /** One gradient step after `symbol` turned out to be next. */
  update(symbol, rate) {
    const { logs, out, experts, weights, set } = this;
    for (let e = 0; e < experts; e++) {
      const log = logs[e];
      let expected = 0;
      for (let s = 0; s < out.length; s++) expected += out[s] * log[s];
      weights[set * experts + e] += rate * (log[symbol] - expected);
    }
  }
}
