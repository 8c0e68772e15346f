// Runs the tests in tiers: unit tests in one process, every other file in a process of its own, several at once.
//   node .ci/test.mjs                      all but the long ones, in minutes
//   node .ci/test.mjs --all                everything
//   node .ci/test.mjs unit e2e/quota       the files with one of these words in their paths
//   node .ci/test.mjs --changed            the unit tests, and the files that belong to what has changed
import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { bunTest } from "./bun-test.mjs";
import { testsOfChanges } from "./changed.mjs";
import { cpuOfEnded, readTimes, timed } from "./cpu.mjs";
import { isLong } from "./long-tests.mjs";
import { createHostPool } from "./shared-opencode.mjs";

/** Processes at once. Half of the time a file waits for real programs, so there are two for each core. */
const AT_ONCE = Number(process.env.TESTS_AT_ONCE ?? 2 * availableParallelism());

/** Folders, quickest first. Those of `inOneProcess` start no programs and have nothing to wait for. */
const TIERS = [
  { name: "unit", inOneProcess: true },
  { name: "programs", inOneProcess: false },
  { name: "integration", inOneProcess: false },
  { name: "contract", inOneProcess: false },
  { name: "e2e", inOneProcess: false },
];

/** The files that take longest start first, so that none runs alone at the end. Every run reports the ten slowest. */
const LONGEST = [
  "test/unit",
  "terminal",
  "workspace-local",
  "attacks-from-sandbox",
  "deadlines",
  "demo",
  "chaos",
  "modal-faults",
  "modal-choice",
  "restart",
  "full-size",
  "told",
  "bad-options",
];

/** Files that keep all cores busy by themselves. They run one by one when the others have ended. */
const ALONE = ["modal-batch"];

/**
 * A file that failed runs once more, alone, because real programs on a busy machine miss the time limits of tests. It is
 * named in the report. More failures than this many are no accident, and none of them is run again.
 */
const MOST_REPEATS = 6;

const filesIn = (folder) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(folder, name))
    .sort();

const allRuns = TIERS.flatMap(({ name, inOneProcess }) => {
  const folder = join("test", name);
  return (inOneProcess ? [folder] : filesIn(folder)).map((path) => ({ tier: name, path }));
});

const args = process.argv.slice(2);
const isAll = args.includes("--all");
const wanted = args.includes("--changed")
  ? ["test/unit", ...testsOfChanges()]
  : args.filter((word) => word !== "--all");
if (args.includes("--changed")) console.log(`Tests of what has changed: ${wanted.join(", ")}\n`);
const rank = ({ path }) => {
  const at = LONGEST.findIndex((name) => path.includes(name));
  if (at !== -1) return at;
  return LONGEST.length + (shares(path) ? 0 : 1); // those that share can only run a few at a time
};
const queue = allRuns
  .filter(({ path }) => (wanted.length === 0 ? isAll || !isLong(path) : wanted.some((name) => path.includes(name))))
  .sort((a, b) => rank(a) - rank(b));
if (queue.length === 0) {
  console.error(`No test has ${wanted.join(" or ")} in its path.`);
  process.exit(2);
}

// All runs of each property take minutes; see test/support/property-runs.ts.
if (isAll) process.env.PROPERTY_RUNS ??= "1";

const isAlone = ({ path }) => ALONE.some((name) => path.includes(name));
const last = queue.filter(isAlone);
queue.splice(0, Infinity, ...queue.filter((one) => !isAlone(one)));

const hosts = createHostPool();
const results = [];
const repeated = [];
const started = performance.now();
await Promise.all(Array.from({ length: AT_ONCE }, worker));
await hosts.close();
for (const one of last) results.push(await run(one));
await repeatFailed();
report();
process.exitCode = results.every(({ code }) => code === 0) ? 0 : 1;

async function worker() {
  for (;;) {
    const at = queue.findIndex(({ path }) => !shares(path) || hosts.hasRoom());
    if (at === -1) return; // what is left shares, and belongs to the workers that hold the hosts
    const [next] = queue.splice(at, 1);
    results.push(await (shares(next.path) ? hosts.with((host) => run(next, host)) : run(next)));
  }
}

async function repeatFailed() {
  const failed = results.filter(({ code }) => code !== 0);
  if (failed.length > MOST_REPEATS) return;
  for (const one of failed) {
    console.log(`== ${one.path} failed; it runs once more, alone\n`);
    const again = await run(one);
    if (again.code === 0) repeated.push(one);
    results[results.indexOf(one)] = again;
  }
}

/** Whether a file's projects may live in an OpenCode that other files use too. */
function shares(path) {
  return path.endsWith(".ts") && /\b(?:useProject|startProject)\(/.test(readFileSync(path, "utf8"));
}

/**
 * Prints the output when the process has ended, so that the outputs of files do not mix.
 * @param host the OpenCode that is lent to the file: what it does meanwhile, it does for the file
 */
function run({ tier, path }, host = { env: {}, cpu: () => 0 }) {
  return new Promise((resolve) => {
    const startedAt = performance.now();
    const hostBefore = host.cpu();
    const [shell, ...shellArgs] = timed(...bunTest(path));
    const env = { ...process.env, ...host.env };
    const child = spawn(shell, shellArgs, { env, stdio: ["ignore", "pipe", "pipe", "pipe"] });
    const output = [];
    const times = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(chunk));
    child.stdio[3].on("data", (chunk) => times.push(chunk));
    child.on("error", (error) => output.push(Buffer.from(`${error}\n`)));
    child.on("close", (code, signal) => {
      const text = Buffer.concat(output).toString();
      const seconds = (performance.now() - startedAt) / 1000;
      const cpu = readTimes(Buffer.concat(times).toString()) + Math.max(0, host.cpu() - hostBefore);
      const outcome = code === 0 ? "passed" : `failed (${code ?? signal})`;
      console.log(`${text.trimEnd()}\n== ${path}: ${outcome}, ${Math.round(seconds)} s, ${Math.round(cpu)} s of CPU\n`);
      resolve({ tier, path, code, text, seconds, cpu });
    });
  });
}

function report() {
  for (const { path, text, code } of results.filter((result) => result.code !== 0)) {
    const ran = /^Ran \d+ tests? across/m.test(text);
    console.log(`== failed: ${path}${ran ? "" : ` (ended with ${code} before its end)`}`);
    for (const failure of failuresIn(text)) console.log(failure);
  }
  for (const { path, text } of repeated) {
    console.log(`== failed beside other files, passed alone: ${path}`);
    for (const failure of failuresIn(text)) console.log(failure);
  }
  listMost("Slowest:", ({ seconds }) => seconds);
  listMost("Most CPU:", ({ cpu }) => cpu);
  console.log("Tiers (seconds are summed over processes, which run side by side):");
  for (const { name } of TIERS) {
    const own = results.filter(({ tier }) => tier === name);
    if (own.length > 0) console.log(`${secondsOf(own).toFixed(0).padStart(5)} s  ${name}: ${countsOf(own)}`);
  }
  const seconds = Math.round((performance.now() - started) / 1000);
  if (wanted.length === 0 && !isAll)
    console.log(`${allRuns.filter(({ path }) => isLong(path)).length} long files are left to npm run test:all.`);
  console.log(
    `${countsOf(results)}; ${seconds} s, ${cpuOfEnded()?.toFixed(0) ?? "?"} s of CPU, ${AT_ONCE} processes at once`,
  );
}

function listMost(heading, secondsIn) {
  console.log(heading);
  for (const one of [...results].sort((a, b) => secondsIn(b) - secondsIn(a)).slice(0, 10))
    console.log(`${secondsIn(one).toFixed(0).padStart(5)} s  ${one.path}`);
}

function secondsOf(some) {
  return some.reduce((sum, { seconds }) => sum + seconds, 0);
}

function countsOf(some) {
  const count = (word) =>
    some.reduce((sum, { text }) => sum + Number(text.match(new RegExp(`^ *(\\d+) ${word}$`, "m"))?.[1] ?? 0), 0);
  const processes = some.length === 1 ? "1 process" : `${some.length} processes`;
  return `${count("pass")} passed, ${count("skip")} skipped, ${count("fail")} failed in ${processes}`;
}

/** What was printed before each failed test, with the test's name; without a failed test, the end of the output. */
function failuresIn(text) {
  const parts = text.split(/^(?=\((?:pass|skip|fail|todo)\) )/m);
  const found = parts.flatMap((part, at) =>
    part.startsWith("(fail) ")
      ? [(parts[at - 1] ?? "").split("\n").slice(1).slice(-80).join("\n") + part.split("\n")[0]]
      : [],
  );
  return found.length > 0 ? found : [text.split("\n").slice(-80).join("\n")];
}
