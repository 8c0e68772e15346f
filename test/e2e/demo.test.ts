import { expect, test } from "bun:test";
import { startProcess } from "../support/child-process.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
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

test("the demo completes seven jobs, and a refinement leads its leaderboard", () => playDemo([], "local"));

// The stand-in isolates its sandboxes with bubblewrap.
test.skipIf(!canIsolate())("the demo ends the same through the Modal adapter, against the stand-in server", () =>
  playDemo(["--modal-server"], "modal"),
);
