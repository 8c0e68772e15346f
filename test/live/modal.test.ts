import { afterAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { defaultOptions } from "../../src/config/schema.ts";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import { findCredentials } from "../../src/sandboxes/modal/credentials.ts";
import { createModalProvider } from "../../src/sandboxes/modal/modal-provider.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { randomId } from "../../src/shared/ids.ts";
import { sandboxProviderContract } from "../contract/sandbox-provider.contract.ts";
import { sh } from "../contract/sandbox-shell.ts";
import { createProviderRecorder } from "./provider-recorder.ts";
import { stopApp } from "./stop-app.ts";

/*
 * The provider contract on the real Modal, in a Modal app of this run's own that is stopped afterwards. It costs a few
 * cents. If this process dies, Modal terminates the sandboxes when their time is over.
 */

const MINUTE_MS = 60_000;
const machine = { ...DEFAULT_MACHINE, lifetimeMs: 20 * MINUTE_MS, idleTimeoutMs: 5 * MINUTE_MS };
const app = `parallel-agents-live-${crypto.randomUUID().slice(0, 8)}`;
const found = findCredentials(process.env, (path) => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
});

if (found.kind !== "found") {
  console.log(`Skipped; nothing was created. ${found.message}`);
  test.skip("Modal keeps the provider contract", () => {});
} else {
  const { credentials } = found;
  const recorder = createProviderRecorder(() =>
    createModalProvider({
      options: { ...defaultOptions("/").modal, app },
      credentials,
      clock: systemClock,
      log: (level, message, fields) =>
        level !== "debug" && level !== "info" && console.log(level, message, fields ?? ""),
      ids: () => randomId("x").slice(2),
    }),
  );
  // Declared for the whole file, so that it runs after the suite's own hooks.
  afterAll(async () => {
    try {
      const left = await recorder.removeAll();
      console.log(
        `App ${app}: ${recorder.describe()}. ${left.length === 0 ? "All of it was removed." : `Left: ${left.join(", ")}`}`,
      );
      expect(left).toEqual([]);
    } finally {
      console.log(await stopApp(app, credentials));
    }
  }, 5 * MINUTE_MS);

  sandboxProviderContract({
    name: "Modal",
    open: async () => recorder.open(),
    declares: { snapshots: true, ownPipes: false },
    spec: { machine },
  });

  describe("a sandbox with a GPU", () => {
    const gpu = { type: "T4", count: 1, exact: false };
    const tags = { suite: "contract", gpu: "yes" };
    test(
      "reports its GPU, runs commands, is listed and can be terminated",
      async () => {
        const provider = recorder.open();
        const sandbox = await provider.create({
        name: "live-gpu", tags, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
        machine: { ...machine, gpu },
      }); // biome-ignore format: a table
        expect(sandbox.gpu?.granted?.type).toBe("T4");
        expect(sandbox.gpu?.devices).toHaveLength(1);
        expect((await sh(sandbox, "echo works")).stdout).toBe("works\n");
        expect((await provider.list()).find(({ id }) => id === sandbox.id)?.tags).toEqual(tags);
        await sandbox.terminate();
        expect((await provider.list()).some(({ id }) => id === sandbox.id)).toBe(false);
        await provider.close();
      },
      10 * MINUTE_MS,
    );
  });
}
