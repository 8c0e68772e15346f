#!/usr/bin/env node
// Pocket parameter golf: train a small text model under a size cap, score it honestly. README.md says how to use it.
import { parseArgs, UsageError } from "./lib/args.mjs";
import { runExperiment, verify } from "./lib/run.mjs";
import { MODELS } from "./models/registry.mjs";

const USAGE = `usage: golf.mjs --model <name> [--key value …] [--cap bytes] [--seconds budget] [--seed n] [--out dir] [--from dir]
       golf.mjs --verify <dir>
${Object.entries(MODELS)
  .map(([name, { summary, defaults }]) => `  ${name.padEnd(6)} ${summary}\n         ${JSON.stringify(defaults)}`)
  .join("\n")}`;

const print = (line) => process.stdout.write(`${line}\n`);

try {
  if (process.argv.length < 3 || process.argv.includes("--help")) {
    print(USAGE);
  } else {
    const args = parseArgs(process.argv.slice(2), MODELS);
    const result = args.verify === null ? runExperiment(args, print) : verify(args.verify);
    print("verified: the artifact, read back from disk, reproduces the score");
    for (const name of ["val_bpb", "bytes"]) print(`METRIC ${name}=${result[name]}`);
  }
} catch (error) {
  process.stderr.write(`golf: ${error.message}\n`);
  if (process.env.GOLF_DEBUG) process.stderr.write(`${error.stack}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
