import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSessionStore, sessionFile } from "../../../src/jobs/store/session-store.ts";
import { PACKAGE } from "../../support/test-setup.ts";
import { jobIn } from "../../unit/views/job-in.ts";
import { BUN, NODE } from "./doctor/doctor-home.ts";

const MAIN = join(PACKAGE, "src/cli/main.ts");
let [root, stateDir] = ["", ""];

/** A session whose report is longer than any pipe holds. */
beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), "output-"));
  stateDir = join(root, "state");
  mkdirSync(join(stateDir, "sessions"), { recursive: true });
  const store = await openSessionStore(sessionFile(stateDir, "ses_long"));
  const job = jobIn({ kind: "completed", result: "x".repeat(500_000) }, { orchestrator: "ses_long" });
  store.insert([{ job, turn: null }]);
  store.close();
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** @param script what a shell does with the command, which is "$@" */
function inShell(runtime: string, script: string) {
  const command = [runtime, MAIN, "report", "ses_long", "--json", "--state-dir", stateDir];
  const env = { PATH: process.env.PATH, HOME: root, BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" };
  const { status, stdout, stderr } = spawnSync("bash", ["-c", script, "bash", ...command], { cwd: root, env });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

for (const [name, runtime] of [
  ["Node", NODE],
  ["Bun", BUN],
] as const) {
  test.if(existsSync("/dev/full"))(`${name} says that a disk is full, and fails`, () => {
    const { status, stderr } = inShell(runtime, '"$@" > /dev/full');
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^Could not print the whole result: .*ENOSPC.*\n$/)]);
  });

  test(`${name} says so where a part of what it prints had room, and fails`, () => {
    const path = join(root, `${name}.json`);
    const { status, stderr } = inShell(runtime, `trap '' XFSZ; ulimit -f 64; "$@" > '${path}'`);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/^Could not print the whole result: .*EFBIG.*\n$/)]);
    expect(statSync(path).size).toBe(64 * 1024);
  });

  test(`${name} has printed everything when it ends, also to whoever reads later`, () => {
    const { stdout } = inShell(runtime, '"$@" | (sleep 2; cat)');
    expect(JSON.parse(stdout).jobs[0].result).toHaveLength(500_000);
  });

  test(`${name} ends in silence where nobody reads any more`, () => {
    const path = join(root, `${name}.code`);
    const { stdout, stderr } = inShell(runtime, `("$@"; echo $? > '${path}') | head -c 1`);
    expect([stdout, stderr, readFileSync(path, "utf8")]).toEqual(["{", "", "0\n"]);
  });
}
