import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, readFileSync, rmSync } from "node:fs";
import { findNetworkTools } from "../../src/sandboxes/local/bubblewrap/network.ts";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { until } from "../support/wait.ts";
import { descendants, leftOf, localProvider, localSpec, newRoot, openAll, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const tools = findNetworkTools();
const why =
  (await whyNoIsolation()) ??
  (typeof tools === "string" ? tools : null) ??
  (spawnSync("sh", ["-c", "exec 3<>/dev/net/tun"]).status === 0 ? null : "/dev/net/tun cannot be opened");

const helpers = () =>
  descendants(process.pid)
    .filter(({ command }) => /^\S*(slirp4netns|pasta)/.test(command))
    .map(({ pid }) => pid);
/** Its default route, and whether an address of clouds' metadata is blocked. */
const NETWORK = "grep -q '^[^I]*\t00000000' /proc/net/route && ip route get 169.254.169.254 2>&1 | head -c 30";
const FEW_FILES = 600;

describe.skipIf(why !== null)(`the program that provides a sandbox's network${why ? ` (skipped: ${why})` : ""}`, () => {
  test("is replaced each time it ends by itself, and the loss logged", () =>
    withSandbox(async (sandbox, logged) => {
      const before = await sh(sandbox, NETWORK);
      expect(before.exit).toEqual({ kind: "exited", code: 0 });
      for (let ends = 1, last = 0; ends <= 3; ends += 1) {
        await until(() => helpers().some((pid) => pid !== last), { what: "there is a helper" });
        last = helpers().find((pid) => pid !== last) as number;
        await until(async () => (await sh(sandbox, NETWORK)).stdout === before.stdout, { what: "there is a network" });
        process.kill(last, "SIGKILL");
        await until(() => sandbox.network?.losses() === ends, { what: "the loss is counted" });
      }
      await until(() => sandbox.network?.lost() === null, { what: "there is a network again" });
      expect(logged.filter((line) => line.includes("lost its network"))).toHaveLength(3);
    }));

  test("is ended while the host's addresses cannot be looked up for want of open files, and started again then", () =>
    withSandbox(async (sandbox) => {
      const before = await sh(sandbox, NETWORK);
      const most = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
      const limitFiles = (to: unknown) => spawnSync("prlimit", ["--pid", String(process.pid), `--nofile=${to}:`]);
      limitFiles(FEW_FILES);
      const files = openAll();
      try {
        const { network } = sandbox;
        await until(() => network?.lost(), { what: "the network is ended" });
        expect(network?.lost()).toContain("EMFILE");
      } finally {
        for (const fd of files) closeSync(fd);
        limitFiles(most);
      }
      await until(() => sandbox.network?.lost() === null, { what: "there is a network again" });
      expect((await sh(sandbox, NETWORK)).stdout).toBe(before.stdout);
    }));
});

async function withSandbox(use: (sandbox: Sandbox, logged: readonly string[]) => Promise<void>): Promise<void> {
  const rootDir = newRoot();
  const logged: string[] = [];
  const log = (_: string, message: string, facts?: object) => void logged.push(`${message}: ${JSON.stringify(facts)}`);
  const provider = localProvider(rootDir, { log });
  try {
    const sandbox = await provider.create(localSpec({ network: "open" }));
    await use(sandbox, logged);
    await sandbox.terminate();
    await provider.close();
    expect(await leftOf(rootDir)).toEqual([]);
  } finally {
    rmSync(rootDir, { recursive: true, force: true });
  }
}
