// Runs the tests: the unit tests in one process, every other file in one of its own, a few at a time, as most of their time
// is spent waiting for real programs. `node .ci/test.mjs e2e/quota contract` runs the files with these names in their paths,
// `--changed` the unit tests and those that belong to what has changed.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { bunTest } from "./bun-test.mjs";
import { testsOfChanges } from "./changed.mjs";

const AT_ONCE = Number(process.env.TESTS_AT_ONCE ?? availableParallelism() + 1);

const testsIn = (folder) =>
  readdirSync(folder)
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join(folder, name))
    .sort();

const args = process.argv.slice(2);
const wanted = args.includes("--changed") ? ["test/unit", ...testsOfChanges()] : args;
if (args.includes("--changed")) console.log(`Tests of what has changed: ${wanted.join(", ")}\n`);
// The longest first, so that no process is left alone at the end.
const groups = ["test/unit", ...["test/e2e", "test/contract"].flatMap(testsIn)].filter(
  (group) => wanted.length === 0 || wanted.some((name) => group.includes(name)),
);
if (groups.length === 0) {
  console.error(`No test has ${wanted.join(" or ")} in its path.`);
  process.exit(2);
}

/** Its output comes whole when it ends, so that files do not mix. */
function run(group) {
  return new Promise((resolve) => {
    const started = performance.now();
    const [bun, ...args] = bunTest(group);
    const child = spawn(bun, args, { stdio: ["ignore", "pipe", "pipe"] });
    const output = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(chunk));
    child.on("error", (error) => output.push(Buffer.from(`${error}\n`)));
    child.on("close", (code, signal) => {
      const text = Buffer.concat(output).toString();
      const seconds = Math.round((performance.now() - started) / 1000);
      console.log(
        `${text.trimEnd()}\n== ${group}: ${code === 0 ? "passed" : `failed (${code ?? signal})`}, ${seconds} s\n`,
      );
      resolve({ group, code, text, seconds });
    });
  });
}

const results = [];
const queue = [...groups];
const worker = async () => {
  for (let group = queue.shift(); group !== undefined; group = queue.shift()) results.push(await run(group));
};
const started = performance.now();
await Promise.all(Array.from({ length: AT_ONCE }, worker));

const count = (word) =>
  results.reduce((sum, { text }) => sum + Number(text.match(new RegExp(`^ *(\\d+) ${word}$`, "m"))?.[1] ?? 0), 0);
const failed = results.filter(({ code }) => code !== 0);
for (const { group, text, code } of failed) {
  const ran = /^Ran \d+ tests? across/m.test(text);
  console.log(`== failed: ${group}${ran ? "" : ` (ended with ${code} before its end)`}`);
  for (const failure of failuresIn(text)) console.log(failure);
}
const slowest = [...results].sort((a, b) => b.seconds - a.seconds).slice(0, 5);
console.log(`Slowest: ${slowest.map(({ group, seconds }) => `${group} ${seconds} s`).join(", ")}`);
console.log(
  `${count("pass")} passed, ${count("skip")} skipped, ${count("fail")} failed in ${groups.length} processes, ${Math.round((performance.now() - started) / 1000)} s`,
);
process.exit(failed.length === 0 ? 0 : 1);

/** What was printed before each failed test, with the test's name; without any, the end of it all. */
function failuresIn(text) {
  const parts = text.split(/^(?=\((?:pass|skip|fail|todo)\) )/m);
  const found = parts.flatMap((part, at) =>
    part.startsWith("(fail) ")
      ? [(parts[at - 1] ?? "").split("\n").slice(1).slice(-80).join("\n") + part.split("\n")[0]]
      : [],
  );
  return found.length > 0 ? found : [text.split("\n").slice(-80).join("\n")];
}
