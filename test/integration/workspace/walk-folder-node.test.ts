import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";

const repository = join(import.meta.dir, "../../..");

test("walking folders works under Node as it does under Bun", async () => {
  const args = ["--import", join(repository, "test/support/run-in-node.ts"), "--test-reporter=tap"];
  const child = spawn(
    join(repository, "node_modules/node/bin/node"),
    [...args, join(import.meta.dir, "walk-folder.test.ts")],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const tap = await new Response(child.stdout as never).text();
  expect(tap.split("\n").filter((line) => /^\s*not ok/.test(line))).toEqual([]);
  expect(Number(/^# pass (\d+)$/m.exec(tap)?.[1])).toBeGreaterThan(15);
});
