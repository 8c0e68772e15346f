import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";

const why = await whyNoIsolation();

describe.skipIf(why !== null)(`a command in a local sandbox${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  const provider = localProvider(rootDir);
  afterAll(async () => {
    await provider.close();
    rmSync(rootDir, { recursive: true, force: true });
  });

  test("says whether it has left processes running, and not only for a moment", async () => {
    for (const [command, isLeft] of [
      ["sleep 0.1; true | sleep 0.1", false],
      ["sleep 0.1 >/dev/null 2>&1 &", false],
      ["nohup sleep 1000 >/dev/null 2>&1 &", true],
      ["setsid -f sleep 1000", true],
    ] as const) {
      const sandbox = await provider.create(localSpec());
      const child = await sandbox.start({ argv: ["sh", "-c", command] });
      for await (const _ of child.output);
      await child.exit;
      expect([command, await child.leavesRunning()]).toEqual([command, isLeft]);
      await sandbox.terminate();
    }
  });
});
