// Two hidden layers of tanh and one sigmoid, trained with momentum on the whole set.
import { random } from "./spirals.mjs";

const MOMENTUM = 0.9;

export function createNetwork(width, seed) {
  const next = random(seed);
  const layers = [
    [2, width],
    [width, width],
    [width, 1],
  ].map(([inputs, outputs]) => ({
    inputs,
    outputs,
    weights: Float64Array.from({ length: inputs * outputs }, () => (next() * 2 - 1) * Math.sqrt(3 / inputs)),
    biases: new Float64Array(outputs),
    moved: new Float64Array(inputs * outputs + outputs),
    gradient: new Float64Array(inputs * outputs + outputs),
  }));

  const forward = (point) => {
    const activations = [point];
    for (const [depth, { inputs, outputs, weights, biases }] of layers.entries()) {
      const from = activations[depth];
      const to = new Float64Array(outputs);
      for (let o = 0; o < outputs; o++) {
        let sum = biases[o];
        for (let i = 0; i < inputs; i++) sum += weights[o * inputs + i] * from[i];
        to[o] = depth < layers.length - 1 ? Math.tanh(sum) : sum;
      }
      activations.push(to);
    }
    return activations;
  };
  const lossOf = (logit, label) => Math.log1p(Math.exp(-Math.abs(logit))) + Math.max(logit, 0) - logit * label;

  return {
    train(points, rate) {
      let loss = 0;
      for (const { gradient } of layers) gradient.fill(0);
      for (const { at, label } of points) {
        const activations = forward(at);
        const logit = activations.at(-1)[0];
        loss += lossOf(logit, label);
        let error = Float64Array.of(1 / (1 + Math.exp(-logit)) - label);
        for (let depth = layers.length - 1; depth >= 0; depth--) {
          const { inputs, outputs, weights, gradient } = layers[depth];
          const from = activations[depth];
          const before = new Float64Array(inputs);
          for (let o = 0; o < outputs; o++) {
            gradient[inputs * outputs + o] += error[o];
            for (let i = 0; i < inputs; i++) {
              gradient[o * inputs + i] += error[o] * from[i];
              before[i] += error[o] * weights[o * inputs + i];
            }
          }
          error = depth === 0 ? before : before.map((value, i) => value * (1 - from[i] ** 2));
        }
      }
      for (const { weights, biases, moved, gradient } of layers) {
        for (let i = 0; i < moved.length; i++) {
          moved[i] = MOMENTUM * moved[i] - (rate * gradient[i]) / points.length;
          if (i < weights.length) weights[i] += moved[i];
          else biases[i - weights.length] += moved[i];
        }
      }
      return loss / points.length;
    },
    score(points) {
      const losses = points.map(({ at, label }) => lossOf(forward(at).at(-1)[0], label));
      return losses.reduce((sum, loss) => sum + loss, 0) / points.length;
    },
  };
}
