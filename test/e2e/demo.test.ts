import { expect, test } from "bun:test";
import { startProcess } from "../support/child-process.ts";
import { repositoryRoot } from "../support/opencode-home.ts";
import { within } from "../support/wait.ts";

test("the demo ends with seven completed jobs and a leaderboard led by a refinement", async () => {
  const demo = await startProcess(process.execPath, ["test/demo/main.ts"], {
    cwd: repositoryRoot,
    env: process.env as Record<string, string>,
    name: "the demo",
  });
  try {
    const output = () => demo.stdout() + demo.stderr();
    const { code } = await within(demo.exited, 170_000, "the demo ends", output);
    expect(output()).toContain("7 of 7 jobs completed.");
    expect(output()).toMatch(/│ 1 │ mixing-\d │ mixing /);
    expect(code).toBe(0);
  } finally {
    await demo.kill();
  }
}, 180_000);
