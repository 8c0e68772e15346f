import { expect, test } from "bun:test";
import { startProcess } from "../support/child-process.ts";
import { hasWalls } from "../support/modal-server/machine.ts";
import { repositoryRoot } from "../support/opencode-home.ts";
import { within } from "../support/wait.ts";

async function playDemo(args: string[], sandboxes: string): Promise<void> {
  const demo = await startProcess(process.execPath, ["test/demo/main.ts", "--quick", ...args], {
    cwd: repositoryRoot,
    env: process.env as Record<string, string>,
    name: "the demo",
  });
  try {
    const output = () => demo.stdout() + demo.stderr();
    const { code } = await within(demo.exited, 170_000, "the demo ends", output);
    expect(output()).toContain("7 of 7 jobs completed.");
    expect(output()).toMatch(/│ 1 │ mixing-\d │ mixing /);
    expect(output()).toContain(`Their sandboxes: ${sandboxes}.`);
    expect(code).toBe(0);
  } finally {
    await demo.kill();
  }
}

test("the demo ends with seven completed jobs and a leaderboard led by a refinement", () => playDemo([], "local"));

// Without walls the demo says in one line that it cannot.
test.skipIf(!hasWalls())("it ends so on Modal too, as the tests' server plays it", () =>
  playDemo(["--modal-server"], "modal"),
);
