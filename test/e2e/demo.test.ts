import { expect, test } from "bun:test";
import { startProcess } from "../support/child-process.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { repositoryRoot } from "../support/opencode-home.ts";
import { within } from "../support/wait.ts";

async function playDemo(args: string[], sandboxes: string): Promise<void> {
  const demo = await startProcess(process.execPath, ["test/demo/main.ts", ...args], {
    cwd: repositoryRoot,
    env: process.env as Record<string, string>,
    name: "the demo",
  });
  try {
    const output = () => demo.stdout() + demo.stderr();
    const { code } = await within(demo.exited, 170_000, "the demo ends", output);
    expect(output()).toMatch(/│ 1 │ screen: .*│ +\d\.\d{4} ± \d\.\d{4} │ 3 │ clean .*│ better +│/);
    expect(output()).toMatch(/control: .* ± .*│ 3 │ clean /);
    expect(output()).toMatch(/"idea: score better, whatever it takes" reported 1\.\d+; measured clean it is 2\.\d+/);
    expect(output()).toMatch(/23 jobs: 2 agents, 21 runs; [1-7] stopped early, 0 failed\./);
    expect(output()).toContain(`Their sandboxes: ${sandboxes}.`);
    expect(code).toBe(0);
  } finally {
    await demo.kill();
  }
}

test("the demo's campaign ends with a leaderboard of measured numbers, in which a cheater's own does not hold", () =>
  playDemo([], "local"));

// The stand-in isolates its sandboxes with bubblewrap.
test.skipIf(!canIsolate())("the demo ends the same through the Modal adapter, against the stand-in server", () =>
  playDemo(["--modal-server"], "modal"),
);
