// What the demo does, as data: five approaches side by side, then two refinements forked from the best one.

export interface Experiment {
  /** Also the name of the run's directory, `out/<name>`. */
  readonly name: string;
  /** At most 80 characters: it becomes a task's description. */
  readonly description: string;
  /** @param skillDir path of the pocket-golf skill folder in the sandbox  @param runtime `node` or `bun` */
  readonly command: (skillDir: string, runtime?: string) => string;
}

export interface GolfResult {
  readonly valBpb: number;
  readonly bytes: number;
}

export const CAP_BYTES = 65_536;

type Model = "ngram" | "mix" | "mlp";

const MODEL_OF: Readonly<Record<string, Model>> = {
  trigram: "ngram",
  sixgram: "ngram",
  words: "ngram",
  neural: "mlp",
  mixing: "mix",
};

export const APPROACHES: readonly Experiment[] = [
  experiment("trigram", "Order-2 n-grams, tuned discounts: the small baseline", "--order 2 --tune 20"),
  experiment("sixgram", "Order-5 n-grams, pruned by saved bits to fill the cap", "--order 5 --tune 2"),
  experiment("words", "Order-2 n-grams plus contexts back to the word's start", "--order 2 --words 1 --tune 5"),
  experiment("neural", "A one-layer neural net with embeddings, int8 weights"),
  experiment("mixing", "Context mixing: all orders and the word, learned weights"),
];

/** Changes that make each model better than its parent; everything else is inherited through `--from`. */
const CHANGES: Readonly<Record<Model, readonly [string, string]>> = {
  mix: ["--order 6 --fill 0.985", "--cache 5 --fill 0.985"],
  ngram: ["--words 1 --order 4 --fill 0.985 --tune 2", "--words 1 --order 3 --fill 0.985 --tune 3"],
  mlp: ["--rate 0.003", "--rate 0.005 --steps 11000"],
};

const WHAT: Readonly<Record<Model, readonly [string, string]>> = {
  mix: ["longer contexts, filled to the cap", "a memory of the text scored so far, filled to the cap"],
  ngram: ["word contexts and order 4, filled to the cap", "word contexts and order 3, filled to the cap"],
  mlp: ["a second round with a small learning rate", "a second, longer round"],
};

/** Each makes an experiment from the winner's name; it runs in a fork of the winner's sandbox, where `out/<winner>` is. */
export const REFINEMENTS: readonly [(winner: string) => Experiment, (winner: string) => Experiment] = [
  (winner) => refinement(winner, 0),
  (winner) => refinement(winner, 1),
];

/**
 * The result a run printed, from its whole standard output.
 * @throws Error when there is no `RESULT {…}` line with both numbers
 */
export function parseResult(stdout: string): GolfResult {
  const line = stdout
    .split(/\r?\n/)
    .reverse()
    .find((text) => text.startsWith("RESULT "));
  if (!line) throw new Error("the run printed no RESULT line");
  const result: unknown = JSON.parse(line.slice("RESULT ".length));
  const { val_bpb: valBpb, bytes } = (result ?? {}) as { val_bpb?: unknown; bytes?: unknown };
  if (typeof valBpb !== "number" || typeof bytes !== "number")
    throw new Error(`the run's result is incomplete: ${line}`);
  return { valBpb, bytes };
}

function experiment(name: string, description: string, flags = ""): Experiment {
  return { name, description, command: (skillDir, runtime) => golf(skillDir, runtime, modelOf(name), flags, name) };
}

function refinement(winner: string, index: 0 | 1): Experiment {
  const model = modelOf(winner);
  const name = `${winner}-${index + 1}`;
  const flags = `--from out/${winner} ${CHANGES[model][index]}`;
  return {
    name,
    description: `Refine ${winner}: ${WHAT[model][index]}`,
    command: (skillDir, runtime) => golf(skillDir, runtime, model, flags, name),
  };
}

function golf(skillDir: string, runtime = "node", model: Model, flags: string, name: string): string {
  const script = `'${skillDir.replace(/\/$/, "").replaceAll("'", "'\\''")}/golf.mjs'`;
  return [runtime, script, "--model", model, flags, "--cap", CAP_BYTES, "--out", `out/${name}`]
    .filter(Boolean)
    .join(" ");
}

function modelOf(name: string): Model {
  const model = MODEL_OF[name];
  if (!model) throw new Error(`"${name}" is none of the approaches: ${Object.keys(MODEL_OF).join(", ")}`);
  return model;
}
