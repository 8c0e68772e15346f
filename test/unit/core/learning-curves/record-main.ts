/*
 * Records the learning curves beside it: trains 108 small networks, each with other hyperparameters, and writes their
 * validation losses. Deterministic, apart from the last digits of `Math.tanh` and `Math.exp` on other machines.
 * Run it from the root: bun test/unit/core/learning-curves/record-main.ts
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

interface Config {
  readonly lr: number;
  readonly width: number;
  readonly batch: number;
  readonly momentum: number;
}

const CONFIGS: readonly Config[] = [0.003, 0.01, 0.03, 0.1, 0.3, 1].flatMap((lr) =>
  [4, 8, 16].flatMap((width) =>
    [8, 32].flatMap((batch) => [0, 0.5, 0.9].map((momentum) => ({ lr, width, batch, momentum }))),
  ),
);
/** Of each, the mean validation loss over its epochs is recorded. */
const STEPS = 48;
const EPOCHS_PER_STEP = 2;

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;

/** mulberry32 */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Sample {
  readonly x: number;
  readonly y: number;
  readonly label: number;
}

/** Points of two spirals with noise. */
function createSamples(count: number, random: () => number): Sample[] {
  return Array.from({ length: count }, (_, i) => {
    const label = i % 2;
    const turn = 0.3 + 2.2 * random();
    const angle = turn * Math.PI * 0.9 + label * Math.PI;
    const noise = () => 0.18 * (random() + random() - 1);
    return { x: (turn * Math.cos(angle)) / 2 + noise(), y: (turn * Math.sin(angle)) / 2 + noise(), label };
  });
}

/** A network with one hidden layer of tanh units, trained on the logistic loss by gradient descent with momentum. */
function train({ lr, width, batch, momentum }: Config, seed: number): number[] {
  const random = createRandom(seed);
  const training = createSamples(240, createRandom(1));
  const validation = createSamples(240, createRandom(2));
  const size = 4 * width + 1; // per unit: two weights, a bias, the weight of its output; and the bias of the output
  const weights = Float64Array.from({ length: size }, () => 1.2 * (random() * 2 - 1));
  const speed = new Float64Array(size);
  const gradient = new Float64Array(size);
  const hidden = new Float64Array(width);
  const w = (i: number) => weights[i] ?? 0;

  function logit({ x, y }: Sample): number {
    let sum = w(4 * width);
    for (let unit = 0; unit < width; unit++) {
      hidden[unit] = Math.tanh(w(4 * unit) * x + w(4 * unit + 1) * y + w(4 * unit + 2));
      sum += (hidden[unit] ?? 0) * w(4 * unit + 3);
    }
    return sum;
  }
  const lossOf = (sample: Sample) => {
    const signed = sample.label === 1 ? logit(sample) : -logit(sample);
    return signed > 0 ? Math.log1p(Math.exp(-signed)) : -signed + Math.log1p(Math.exp(signed));
  };
  function learn(samples: readonly Sample[]): void {
    gradient.fill(0);
    for (const sample of samples) {
      const error = 1 / (1 + Math.exp(-logit(sample))) - sample.label;
      gradient[4 * width] = (gradient[4 * width] ?? 0) + error;
      for (let unit = 0; unit < width; unit++) {
        const back = error * w(4 * unit + 3) * (1 - (hidden[unit] ?? 0) ** 2);
        for (const [offset, value] of [back * sample.x, back * sample.y, back, error * (hidden[unit] ?? 0)].entries())
          gradient[4 * unit + offset] = (gradient[4 * unit + offset] ?? 0) + value;
      }
    }
    for (let i = 0; i < size; i++) {
      speed[i] = momentum * (speed[i] ?? 0) - (lr * (gradient[i] ?? 0)) / samples.length;
      weights[i] = w(i) + (speed[i] ?? 0);
    }
  }

  const losses: number[] = [];
  for (let epoch = 1; epoch <= STEPS * EPOCHS_PER_STEP; epoch++) {
    for (let i = training.length - 1; i > 0; i--) {
      const other = Math.floor(random() * (i + 1));
      [training[i], training[other]] = [training[other] as Sample, training[i] as Sample];
    }
    for (let at = 0; at < training.length; at += batch) learn(training.slice(at, at + batch));
    losses.push(mean(validation.map(lossOf)));
  }
  const step = (i: number) => losses.slice(i * EPOCHS_PER_STEP, (i + 1) * EPOCHS_PER_STEP);
  return Array.from({ length: STEPS }, (_, i) => mean(step(i)));
}

const curves = CONFIGS.map((config, i) => ({
  ...config,
  losses: train(config, 100 + i).map((loss) => (Number.isFinite(loss) ? Number(loss.toPrecision(4)) : String(loss))),
}));
const lines = curves.map((curve) => `  ${JSON.stringify(curve)}`);
writeFileSync(join(import.meta.dirname, "curves.json"), `[\n${lines.join(",\n")}\n]\n`);
