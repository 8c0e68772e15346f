import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { join } from "node:path";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { sandboxProviderContract } from "./sandbox-provider.contract.ts";

const modal = useModalServer();

sandboxProviderContract({
  name: "modal",
  open: async () => modalProvider(),
  declares: { snapshots: true, ownPipes: false } /* the test server gives sockets */,
  timeoutMs: 60_000,
});

describe("when its contract was run, the Modal provider", () => {
  test("has left no sandbox", async () => {
    expect(await modal().sandboxes({ live: true })).toEqual([]);
  });
});

const node = join(import.meta.dir, "../../node_modules/node/bin/node");

describe("the Modal provider under Node", () => {
  test("creates, runs, streams, signals, reads, writes, snapshots, forks and ends as under Bun, and lets its process go", async () => {
    const child = spawn(node, [join(import.meta.dir, "modal-node-main.ts")], {
      env: { PATH: process.env.PATH, ...modal().env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const texts = await Promise.all([
      new Response(child.stdout as never).text(),
      new Response(child.stderr as never).text(),
    ]);
    expect(
      texts[1].split("\n").filter((line) => line !== "" && !/ExperimentalWarning|--trace-warnings/.test(line)),
    ).toEqual([]);
    expect(JSON.parse(texts[0])).toEqual({
      ran: { exit: { kind: "exited", code: 7 }, stdout: "out\n", stderr: "err\n" },
      many: 20_000_000,
      signalled: { kind: "signalled", signal: "SIGTERM" },
      log: "logged\n",
      range: "345",
      missing: "file_not_found",
      forked: "kept\n",
      listed: 2,
      gone: "sandbox_lost",
    });
    expect(await modal().sandboxes({ live: true })).toEqual([]);
  }, 60_000);
});
