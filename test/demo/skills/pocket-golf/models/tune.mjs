// Discounts estimated from counts alone suit an unpruned table. These are then tuned where they are used: on a pruned
// table and on training text it has not counted, one depth at a time, by trying a little more and a little less.
import { bitsPerByte } from "../lib/score.mjs";

const STEPS = [1.2, 1 / 1.2];

/**
 * @param {{ ngrams: number[][], words: number[][] | null }} discounts the estimates to start from
 * @param {(discounts: object) => import("./registry.mjs").Predictor} predictorWith
 * @param {(round: number, discounts: object) => boolean} onRound false stops
 */
export function tuneDiscounts(discounts, heldOut, rounds, predictorWith, onRound) {
  const tuned = structuredClone(discounts);
  let best = bitsPerByte(predictorWith(tuned), heldOut);
  for (let round = 1; round <= rounds; round++) {
    for (const rows of [tuned.ngrams, tuned.words ?? []]) {
      for (const [depth, row] of rows.entries()) {
        for (const step of STEPS) {
          rows[depth] = scale(row, step);
          const bpb = bitsPerByte(predictorWith(tuned), heldOut);
          if (bpb < best) {
            best = bpb;
            break;
          }
          rows[depth] = row;
        }
      }
    }
    if (!onRound(round, tuned)) break;
  }
  return tuned;
}

/** A count can give away no more than it has. */
const scale = (row, factor) => row.map((d, i) => Math.round(1000 * Math.min(d * factor, (i + 1) * 0.98)) / 1000);
