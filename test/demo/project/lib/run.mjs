// One experiment: train, write the artifact, then score what was written.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MODELS } from "../models/registry.mjs";
import { UsageError } from "./args.mjs";
import { pack, unpack } from "./artifact.mjs";
import { alphabetOf, readText, toSymbols } from "./data.mjs";
import { bitsPerByte } from "./score.mjs";

// Progress is measured on a small piece from the middle, where the text is about as hard as on average.
const SAMPLE = { from: 20480, bytes: 4096 };

/** Trains as `args` (see parseArgs) say. Files: `<out>/model.bin`, `<out>/result.json`. @returns the result */
export function runExperiment(args, print) {
  const { options } = args;
  const out = args.out ?? join("out", args.model);
  const started = Date.now();
  const parent = args.from === null ? null : readParent(args.from, args.model);
  const params = { ...MODELS[args.model].defaults, ...parent?.params, ...args.given };
  const trainText = readText("train", options["train-bytes"], options.seed);
  const alphabet = parent?.alphabet ?? alphabetOf(trainText);
  const sample = toSymbols(readText("val").subarray(SAMPLE.from, SAMPLE.from + SAMPLE.bytes), alphabet);
  print(`training ${args.model} ${JSON.stringify(params)} on ${trainText.length} bytes, cap ${options.cap} bytes`);
  print(`progress is measured on ${SAMPLE.bytes} bytes of the validation text, before pruning and rounding`);

  const report = (step, of, predictor) => {
    const bpb = bitsPerByte(predictor(), sample).toFixed(4);
    print(`step ${step} of ${of} after ${seconds(started)} s`);
    print(`METRIC sample_bpb=${bpb} step=${step}`);
  };
  report.fit = (keep, size) => print(`keep ${keep} of the counts: ${size} bytes`);
  const artifact = MODELS[args.model].train({
    train: toSymbols(trainText, alphabet),
    alphabet,
    params,
    cap: options.cap,
    deadline: options.seconds > 0 ? started + options.seconds * 1000 : Infinity,
    parent,
    report,
  });
  const bytes = pack(artifact);
  if (bytes.length > options.cap)
    throw new UsageError(`the artifact has ${bytes.length} bytes, the cap is ${options.cap}`);
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "model.bin"), bytes);

  print(`scoring ${join(out, "model.bin")} on the whole validation text`);
  const result = {
    model: args.model,
    params,
    from: args.from,
    val_bpb: scoreFile(join(out, "model.bin"), options["val-bytes"]),
    bytes: bytes.length,
    cap: options.cap,
    val_bytes: options["val-bytes"],
    sha256: digest(bytes),
    seconds: seconds(started),
  };
  writeFileSync(join(out, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
  return { ...verify(out), seconds: seconds(started) };
}

/** Scores the artifact in `out` again, from the file alone, and compares with what result.json claims. */
export function verify(out) {
  const claimed = JSON.parse(readFileSync(join(out, "result.json"), "utf8"));
  const path = join(out, "model.bin");
  const bytes = readFileSync(path);
  if (digest(bytes) !== claimed.sha256) throw new Error(`${path} is not the file that was scored: its sha256 differs`);
  if (bytes.length > claimed.cap) throw new Error(`${path} has ${bytes.length} bytes, the cap is ${claimed.cap}`);
  const bpb = scoreFile(path, claimed.val_bytes);
  // Another JavaScript engine may round a logarithm's last bit differently.
  if (!(Math.abs(bpb - claimed.val_bpb) < 1e-6)) {
    throw new Error(`${path} scores ${bpb} bits per byte, result.json claims ${claimed.val_bpb}`);
  }
  return { val_bpb: claimed.val_bpb, bytes: bytes.length };
}

function scoreFile(path, valBytes) {
  const artifact = unpack(readFileSync(path));
  const predictor = MODELS[artifact.model].load(artifact);
  return bitsPerByte(predictor, toSymbols(readText("val", valBytes), artifact.alphabet));
}

function readParent(dir, model) {
  let parent;
  try {
    parent = unpack(readFileSync(join(dir, "model.bin")));
  } catch (cause) {
    throw new UsageError(`--from ${dir} cannot be read: ${cause.message}`);
  }
  if (parent.model !== model) throw new UsageError(`--from ${dir} is a run of ${parent.model}, not of ${model}`);
  return parent;
}

const digest = (bytes) => createHash("sha256").update(bytes).digest("hex");
const seconds = (started) => Math.round((Date.now() - started) / 100) / 10;
