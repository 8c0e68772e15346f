import { describe, expect, test } from "bun:test";
import type { JobView } from "../../src/views/job-view.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { startModalSetup } from "../support/modal-setup.ts";
import { sandboxesOf, sandboxTest } from "../support/sandboxes.ts";
import { call } from "../support/scripted.ts";
import { startProject, type TestSetup } from "../support/test-setup.ts";
import { ask, start, turn, wait } from "../support/turns.ts";
import { until } from "../support/wait.ts";

/* Runs that have one sandbox after the other (`reuse`). */

const OPTIONS = { maxRunningJobs: 1, environments: { default: { workspace: "project" } } };
const FILES = { ".gitignore": "cache/\n", "code.txt": "code\n" };
const RUNS = 3;
/** Leaves what the next run must not find, and what it may. */
const COMMAND = `ls ~/tool cache /tmp/lock out.json 2>/dev/null; pgrep -x napper; echo run $N
  mkdir -p cache; echo $N >> cache/data; echo $N >> ~/tool; echo $N > /tmp/lock; echo "$N" > out.json; cp $(command -v sleep) ~/napper; (setsid ~/napper 600 >/dev/null 2>&1 &)`;

const run = (more: object = {}) => ({
  description: "run",
  command: COMMAND,
  files: ["*.json"],
  matrix: { N: Array.from({ length: RUNS }, (_, n) => n + 1) },
  ...more,
});

async function runAll({ server }: TestSetup, more: object): Promise<{ session: string; jobs: readonly JobView[] }> {
  const session = await server.createSession();
  const [, waited] = await turn(server, session.id, start(run(more)), wait());
  const jobs = [...(waited?.metadata.finished ?? [])].sort((a, b) => Number(a.params?.N) - Number(b.params?.N));
  expect(jobs.map(({ state, error }) => [state, error])).toEqual(Array(RUNS).fill(["completed", undefined]));
  return { session: session.id, jobs };
}

async function takenOver(setup: TestSetup): Promise<void> {
  const { session, jobs } = await runAll(setup, { reuse: true });
  const [first, second, last] = jobs.map(({ result = "" }) => result);
  expect(first).toStartWith("run 1");
  // Of the run before there is what lies outside the work directory; no ignored file, process, result or lock.
  expect(second).toMatch(/^\S*\/tool\nrun 2/);
  expect(last).toMatch(/^\S*\/tool\nrun 3/);
  expect(jobs[0]?.notes.join()).toContain(`Its sandbox went on to ${jobs[1]?.id} (reuse)`);
  expect(jobs[1]?.notes.join()).toContain(`It runs in the sandbox of ${jobs[0]?.id} (reuse)`);
  for (const [n, job] of jobs.entries()) {
    const collected = await ask(
      setup.server,
      session,
      call("agents_collect", { job: job.id, mode: "files", paths: ["out.json"] }),
    );
    expect(collected.output).toContain("out.json");
    expect(await Bun.file(`${setup.home.project}/.opencode/collected/${job.id}/out.json`).text()).toBe(`${n + 1}\n`);
  }
}

describe("runs that may take over sandboxes", () => {
  sandboxTest("locally: one sandbox serves them all, tidied each time, and every run's results are kept", async () => {
    const setup = await startProject({ ...OPTIONS, provider: "local" }, { files: FILES });
    await takenOver(setup);
    await until(() => sandboxesOf(setup.home).length === 0, { what: "every sandbox has ended" });
    await setup.stop();
  });

  test.skipIf(!canIsolate())("on Modal: the same", async () => {
    const setup = await startModalSetup(OPTIONS, { files: FILES });
    await takenOver(setup);
    await setup.stop();
  });
});
