import { describe, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { findNetworkTools } from "../../src/sandboxes/local/bubblewrap/network.ts";
import { FIRST_COMMAND } from "../../src/sandboxes/local/bubblewrap/programs/sandbox-programs.ts";
import { pause, until } from "../support/wait.ts";
import { descendants, localProvider, newRoot, startTimeOf, whyNoIsolation } from "./local-support.ts";

const why = await whyNoIsolation();
const PROBE_TUN = ["-c", "exec 3<>/dev/net/tun"];
const hasNetwork =
  typeof findNetworkTools() !== "string" && spawnSync("sh", PROBE_TUN, { stdio: "ignore" }).status === 0;

describe.skipIf(why !== null)(`a host process that is killed${why ? ` (skipped: ${why})` : ""}`, () => {
  for (const [runtime, program] of [
    ["Bun", "bun"],
    ["Node", "node"],
  ] as const) {
    test(`under ${runtime} takes its sandbox's commands, isolation and network helper with it`, async () => {
      const root = newRoot();
      const main = [join(import.meta.dir, "local-host-main.ts"), root];
      const host = spawn(join(import.meta.dir, "../../node_modules/.bin", program), main, {
        stdio: ["ignore", "pipe", "ignore"],
      });
      try {
        const said = await new Promise<string>((resolve, reject) => {
          host.stdout.once("data", (bytes) => resolve(String(bytes)));
          host.once("exit", (code) => reject(new Error(`it ended with ${code} before it had a sandbox`)));
        });
        const { id, networked } = JSON.parse(said);
        let all = descendants(host.pid as number);
        const sleepers = () => all.filter(({ command }) => /^sleep 7/.test(command)).length;
        for (let attempt = 0; attempt < 100 && sleepers() < 2; attempt += 1) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          all = descendants(host.pid as number);
        }
        expect(all.filter(({ command }) => /bwrap/.test(command)).length).toBe(1);
        expect(sleepers()).toBe(2);
        if (hasNetwork) expect(networked).toBe(true);
        if (networked) expect(all.some(({ command }) => /^\S*(slirp4netns|pasta)/.test(command))).toBe(true);
        host.kill("SIGKILL");
        const alive = () => all.filter(({ pid, startedAt }) => startTimeOf(pid) === startedAt);
        for (let attempt = 0; attempt < 100 && alive().length > 0; attempt += 1)
          await new Promise((resolve) => setTimeout(resolve, 50));
        expect(alive()).toEqual([]);
        // The next process finds what is left on disk, and can remove it.
        const next = localProvider(root);
        expect((await next.list()).map((each) => each.id)).toEqual([id]);
        await next.terminate(id);
        await next.close();
        expect(await next.list()).toEqual([]);
      } finally {
        host.kill("SIGKILL");
        rmSync(root, { recursive: true, force: true });
      }
    });
  }

  test("leaves no process when killed while it starts a sandbox", async () => {
    const before = new Set(orphans());
    const next = localProvider(newRoot()); // a later process ends what a dead one left
    for (const delayMs of [0, 10, 20, 30, 40, 60]) {
      const root = newRoot();
      const main = [join(import.meta.dir, "local-host-main.ts"), root];
      const host = spawn(join(import.meta.dir, "../../node_modules/.bin/bun"), main, { stdio: "ignore" });
      try {
        await until(() => descendants(host.pid as number).some(({ command }) => command.includes(FIRST_PROCESS)), {
          what: "the sandbox is starting",
          everyMs: 2,
        });
        await pause(delayMs);
      } finally {
        host.kill("SIGKILL");
      }
      const isOver = async () => {
        await next.list();
        return orphans().every((pid) => before.has(pid));
      };
      await until(isOver, { what: "every process has ended" });
      rmSync(root, { recursive: true, force: true });
    }
    await next.close();
  });
});

const FIRST_PROCESS = FIRST_COMMAND[1] as string;

/** Pids of first processes whose host process is gone. */
function orphans(): number[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid=,args="], { encoding: "utf8" });
  return stdout
    .split("\n")
    .filter((line) => line.includes(FIRST_PROCESS))
    .map((line) => line.trim().split(/\s+/).map(Number))
    .flatMap(([pid = 0, parent]) => (parent === 1 ? [pid] : []));
}
