#!/usr/bin/env node
// Trains a small network to tell two spirals apart, and prints its losses as METRIC lines. README.md says how to use it.
import { parseArgs } from "node:util";
import { createNetwork } from "./network.mjs";
import { spirals } from "./spirals.mjs";

const { values } = parseArgs({
  options: {
    lr: { type: "string", default: "0.01" },
    width: { type: "string", default: "24" },
    warmup: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
    steps: { type: "string", default: "240" },
    pace: { type: "string", default: "0" },
  },
});
const [lr, width, warmup, seed, steps, pace] = ["lr", "width", "warmup", "seed", "steps", "pace"].map((name) =>
  Number(values[name]),
);
const EVERY = steps / 24;

const train = spirals(360, seed);
const held = spirals(360, 1_000);
const network = createNetwork(width, seed);
for (let step = 1; step <= steps; step++) {
  const rate = step <= warmup ? (lr * step) / warmup : lr * 0.5 * (1 + Math.cos((Math.PI * (step - warmup)) / steps));
  const loss = network.train(train, rate);
  if (!Number.isFinite(loss)) {
    console.error(`The loss is ${loss} at step ${step}: the learning rate ${lr} is too large.`);
    process.exit(1);
  }
  if (step % EVERY !== 0) continue;
  console.log(`METRIC step=${step} val_loss=${network.score(held).toFixed(4)} train_loss=${loss.toFixed(4)}`);
  await new Promise((resolve) => setTimeout(resolve, pace));
}
