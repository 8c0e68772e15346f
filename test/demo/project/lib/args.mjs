/** A mistake in how the script was called; its message is for the caller, without a stack. */
export class UsageError extends Error {}

const COMMON = { cap: 65536, seconds: 0, "train-bytes": 0, "val-bytes": 0, seed: 0 };

const FRACTIONAL = new Set(["seconds", "fill", "rate", "adapt"]);
/** Ranges of whole numbers; any other parameter may be any whole number. */
const WHOLE = { order: [1, 7], cache: [0, 7] };

/**
 * `--key value` pairs → `{ model, out, from, verify, options, given }`.
 * `given` holds the model's own parameters that were named; what was not is the parent's or the model's default.
 */
export function parseArgs(argv, models) {
  const texts = new Map();
  for (let i = 0; i < argv.length; i += 2) {
    const [key, value] = [argv[i], argv[i + 1]];
    if (!key.startsWith("--")) throw new UsageError(`expected an option that begins with --, found "${key}"`);
    if (value === undefined) throw new UsageError(`${key} needs a value`);
    texts.set(key.slice(2), value);
  }
  const take = (key) => {
    const value = texts.get(key) ?? null;
    texts.delete(key);
    return value;
  };
  const [model, out, from, verify] = ["model", "out", "from", "verify"].map(take);
  if (verify === null && !models[model]) {
    const names = Object.keys(models).join(", ");
    throw new UsageError(
      model === null ? `--model is missing; one of ${names}` : `no model "${model}"; one of ${names}`,
    );
  }
  const options = { ...COMMON };
  const given = {};
  const own = verify === null ? models[model].defaults : {};
  for (const [key, text] of texts) {
    const number = Number(text);
    if (text === "" || !(number >= 0)) throw new UsageError(`--${key} must be a number of at least 0, found "${text}"`);
    if (key in COMMON) options[key] = number;
    else if (key in own) given[key] = number;
    else
      throw new UsageError(
        `unknown option --${key}; ${model ?? "--verify"} takes ${[...Object.keys(COMMON), ...Object.keys(own)].join(", ")}`,
      );
  }
  for (const [key, number] of Object.entries({ ...options, ...given })) {
    const [low, high] = WHOLE[key] ?? (FRACTIONAL.has(key) ? [] : [0, Infinity]);
    if (low !== undefined && !(Number.isInteger(number) && number >= low && number <= high)) {
      throw new UsageError(`--${key} must be a whole number from ${low} to ${high}, found ${number}`);
    }
  }
  return { model, out, from, verify, options, given };
}
