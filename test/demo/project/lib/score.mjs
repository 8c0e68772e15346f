// Bits per byte, computed the one way that cannot flatter a model: it must state a whole probability distribution over
// the next symbol *before* it is shown that symbol, and the distribution must sum to one.
import { NO_SYMBOL } from "./data.mjs";

// Every byte value keeps this much probability, so that no prediction is infinitely wrong. Costs under 0.0001 bpb.
const FLOOR = 2 ** -14;

/**
 * @param {{ predict(): Float64Array, update(symbol: number): void }} predictor fresh, nothing seen yet
 * @param {Uint8Array} symbols
 * @returns {number} bits per byte
 */
export function bitsPerByte(predictor, symbols) {
  let bits = 0;
  for (let i = 0; i < symbols.length; i++) {
    const distribution = predictor.predict();
    let sum = 0;
    for (let s = 0; s < distribution.length; s++) sum += distribution[s];
    if (!(Math.abs(sum - 1) < 1e-6)) throw new Error(`the prediction for byte ${i} sums to ${sum}, not to 1`);
    const symbol = symbols[i];
    const p = symbol === NO_SYMBOL ? 0 : distribution[symbol];
    bits -= Math.log2((1 - FLOOR) * p + FLOOR / 256);
    // Score first, learn after: a model may adapt to text it has already been scored on, and to no other.
    predictor.update(symbol === NO_SYMBOL ? 0 : symbol);
  }
  return bits / symbols.length;
}
