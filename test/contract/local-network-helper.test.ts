import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { findNetworkTools } from "../../src/sandboxes/local/bubblewrap/network.ts";
import { until } from "../support/wait.ts";
import { descendants, leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
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

describe.skipIf(why !== null)(`the program that provides a sandbox's network${why ? ` (skipped: ${why})` : ""}`, () => {
  test("is replaced when it ends by itself, five times, and then the loss is logged", async () => {
    const rootDir = newRoot();
    const logged: string[] = [];
    const log = (_: string, message: string, facts?: object) =>
      void logged.push(`${message}: ${JSON.stringify(facts)}`);
    const provider = localProvider(rootDir, { log });
    try {
      const sandbox = await provider.create(localSpec({ network: "open" }));
      const before = await sh(sandbox, NETWORK);
      expect(before.exit).toEqual({ kind: "exited", code: 0 });
      let last = 0;
      const next = async () => {
        await until(() => helpers().some((pid) => pid !== last), { what: "there is a helper" });
        last = helpers().find((pid) => pid !== last) as number;
        await until(async () => (await sh(sandbox, NETWORK)).stdout === before.stdout, { what: "there is a network" });
      };
      await next();
      for (let ended = 0; ended < 5; ended += 1) {
        process.kill(last, "SIGKILL");
        await next();
      }
      process.kill(last, "SIGKILL");
      const isLogged = () => logged.some((line) => /lost its network.*its helper ended 6 times/.test(line));
      await until(isLogged, { what: "the loss is logged", seen: () => logged });
      expect(helpers()).toEqual([]);
      await sandbox.terminate();
      await provider.close();
      expect(await leftOf(rootDir)).toEqual([]);
    } finally {
      rmSync(rootDir, { recursive: true, force: true });
    }
  });
});
