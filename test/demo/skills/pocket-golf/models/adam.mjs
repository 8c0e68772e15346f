const BETA1 = 0.9;
const BETA2 = 0.99;

/** Adam over a set of named matrices. Add to `gradients`, then `step`, which also clears them. */
export class Adam {
  #count = 0;

  constructor(weights) {
    this.weights = weights;
    const zeros = () =>
      Object.fromEntries(Object.entries(weights).map(([name, { values }]) => [name, new Float32Array(values.length)]));
    this.gradients = zeros();
    this.mean = zeros();
    this.square = zeros();
  }

  /** @param {number} batch how many examples the gradients are summed over */
  step(rate, batch) {
    this.#count++;
    const scale = (rate * Math.sqrt(1 - BETA2 ** this.#count)) / (1 - BETA1 ** this.#count);
    for (const [name, { values }] of Object.entries(this.weights)) {
      const [gradient, mean, square] = [this.gradients[name], this.mean[name], this.square[name]];
      for (let i = 0; i < values.length; i++) {
        const g = gradient[i] / batch;
        mean[i] = BETA1 * mean[i] + (1 - BETA1) * g;
        square[i] = BETA2 * square[i] + (1 - BETA2) * g * g;
        values[i] -= (scale * mean[i]) / (Math.sqrt(square[i]) + 1e-8);
      }
      gradient.fill(0);
    }
  }
}
