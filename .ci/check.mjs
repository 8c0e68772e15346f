// Runs the checks that are not tests side by side: the scripts of package.json that begin with "check:".
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

const { scripts } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const checks = Object.keys(scripts).filter((name) => name.startsWith("check:"));

/** @returns whether the check passed; its output is printed when it ends, so that the outputs of checks do not mix */
function run(name) {
  return new Promise((resolve) => {
    const child = spawn("npm", ["run", "--silent", name], { stdio: ["ignore", "pipe", "pipe"] });
    const output = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => output.push(chunk));
    child.on("error", (error) => output.push(Buffer.from(`${error}\n`)));
    child.on("close", (code) => {
      console.log(`${Buffer.concat(output)}== ${name}: ${code === 0 ? "passed" : `failed (${code})`}`);
      resolve(code === 0);
    });
  });
}

const started = performance.now();
const results = await Promise.all(checks.map(run));
console.log(`Checks: ${Math.round((performance.now() - started) / 1000)} s\n`);
process.exitCode = results.every(Boolean) ? 0 : 1;
