import { ngram } from "./ngram.mjs";

/**
 * @typedef {object} Model
 * @property {string} summary
 * @property {Record<string, number>} defaults every parameter the command line may set, all numbers
 * @property {(run: Run) => Artifact} train sees the training text only
 * @property {(artifact: Artifact) => Predictor} load sees the artifact only
 *
 * @typedef {{ predict(): Float64Array, update(symbol: number): void }} Predictor `predict` is a distribution over the alphabet
 * @typedef {{ model: string, params: object, alphabet: number[], sections: Record<string, ArrayBufferView> }} Artifact
 * @typedef {object} Run
 * @property {Uint8Array} train symbols
 * @property {number[]} alphabet symbol → byte
 * @property {Record<string, number>} params
 * @property {number} cap bytes
 * @property {number} deadline epoch milliseconds by which training should end; Infinity without `--seconds`
 * @property {Artifact | null} parent the run that `--from` names
 * @property {((step: number, of: number, predictor: () => Predictor) => void) & { fit(keep: number, bytes: number): void }} report
 */

/** @type {Record<string, Model>} */
export const MODELS = { ngram };
