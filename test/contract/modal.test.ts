import { describe, expect } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { canIsolate } from "../support/modal-server/machine.ts";
import { modalTest } from "../support/modal-test.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { sandboxProviderContract } from "./sandbox-provider.contract.ts";

const modal = useModalServer();

if (canIsolate())
  sandboxProviderContract({
    name: "modal",
    open: async () => modalProvider(),
    declares: { snapshots: true, ownPipes: false },
  });

describe("after its contract has run, the Modal provider", () => {
  modalTest("has left no sandbox", async () => {
    expect(await modal().sandboxes({ live: true })).toEqual([]);
  });
});

const inNode = (path: string) => join(import.meta.dir, "../..", path);

modalTest("the Modal provider keeps the contract under Node too, and lets the process end", async () => {
  const child = spawn(
    inNode("node_modules/node/bin/node"),
    [
      "--import",
      inNode("test/support/run-in-node.ts"),
      "--test-reporter=tap",
      join(import.meta.dir, "modal-node-main.ts"),
    ],
    { env: { PATH: process.env.PATH, ...modal().env }, stdio: ["ignore", "pipe", "inherit"] },
  );
  const tap = await new Response(child.stdout as never).text();
  expect(tap.split("\n").filter((line) => /^\s*not ok/.test(line))).toEqual([]);
  expect(Number(/^# pass (\d+)$/m.exec(tap)?.[1])).toBeGreaterThan(20);
  expect(await modal().sandboxes({ live: true })).toEqual([]);
});
