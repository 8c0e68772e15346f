import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { leftOf, localProvider, newRoot, whyNoIsolation } from "./local-support.ts";
import { sandboxProviderContract } from "./sandbox-provider.contract.ts";

const why = await whyNoIsolation();

if (why !== null) {
  test.skip(`the local provider was not tested: ${why}`, () => {});
} else {
  const rootDir = newRoot();
  sandboxProviderContract({
    name: "local",
    open: async () => localProvider(rootDir),
    declares: { snapshots: true, ownPipes: true },
  });

  describe("after its contract has run, the local provider", () => {
    test("has left no process, directory or cgroup", async () => {
      expect(await leftOf(rootDir)).toEqual([]);
    });
    afterAll(() => rmSync(rootDir, { recursive: true, force: true }));
  });
}
