// The text, as small integers. Only bytes that occur in the training text are symbols; a byte first seen in validation
// has none (NO_SYMBOL) and is paid for by the uniform floor in score.mjs.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const DATA = join(dirname(fileURLToPath(import.meta.url)), "..", "data");

export const NO_SYMBOL = 255;

const GOLDEN = (Math.sqrt(5) - 1) / 2;

/**
 * @param {"train" | "val"} part
 * @param {number} [limit] bytes kept; 0 keeps all
 * @param {number} [seed] which of them: 0 = from the beginning; others begin elsewhere, spread evenly over the text
 */
export function readText(part, limit = 0, seed = 0) {
  const bytes = readFileSync(join(DATA, `${part}.txt`));
  if (limit === 0 || limit >= bytes.length) return bytes;
  const from = Math.floor(((seed * GOLDEN) % 1) * (bytes.length - limit));
  return bytes.subarray(from, from + limit);
}

/** The distinct bytes of `bytes`, the most frequent first: symbol number → byte. */
export function alphabetOf(bytes) {
  const counts = new Uint32Array(256);
  for (const byte of bytes) counts[byte]++;
  return [...new Set(bytes)].sort((a, b) => counts[b] - counts[a] || a - b);
}

/** Byte text → symbols of `alphabet`. */
export function toSymbols(bytes, alphabet) {
  const symbolOf = new Uint8Array(256).fill(NO_SYMBOL);
  for (const [symbol, byte] of alphabet.entries()) symbolOf[byte] = symbol;
  return Uint8Array.from(bytes, (byte) => symbolOf[byte]);
}
