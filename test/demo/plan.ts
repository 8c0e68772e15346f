// The demo's plan as data: five approaches side by side, then two refinements forked from the best one.

export interface Experiment {
  /** also names the run's directory, `out/<name>` */
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

type Model = "ngram" | "mix";

const MODEL_OF: Readonly<Record<string, Model>> = {
  trigram: "ngram",
  fourgram: "ngram",
  sixgram: "ngram",
  memory: "mix",
  mixing: "mix",
};

export const APPROACHES: readonly Experiment[] = [
  experiment("trigram", "Order-2 n-grams: the small baseline", "--order 2"),
  experiment("fourgram", "Order-3 n-grams, all of them", "--order 3"),
  experiment("sixgram", "Order-5 n-grams, the most frequent ones, filling the cap", "--order 5"),
  experiment("memory", "Mixing of short contexts, with a memory of the text scored so far", "--order 2 --cache 5"),
  experiment("mixing", "Context mixing: all orders up to 5, learned weights", "--order 5"),
];

/** Changes that make each model better than its parent; everything else is inherited through `--from`. */
const CHANGES: Readonly<Record<Model, readonly [string, string]>> = {
  ngram: ["--order 4", "--order 5"],
  mix: ["--order 6 --fill 0.985", "--order 5 --cache 5 --fill 0.985"],
};

const WHAT: Readonly<Record<Model, readonly [string, string]>> = {
  ngram: ["contexts up to order 4", "contexts up to order 5"],
  mix: ["longer contexts, filled to the cap", "a memory of the text scored so far, filled to the cap"],
};

/** Each takes the winner's name; its experiment runs in a fork of the winner's sandbox, which holds `out/<winner>`. */
export const REFINEMENTS: readonly [(winner: string) => Experiment, (winner: string) => Experiment] = [
  (winner) => refinement(winner, 0),
  (winner) => refinement(winner, 1),
];

/**
 * The result in a run's standard output.
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

function experiment(name: string, description: string, flags: string): Experiment {
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
