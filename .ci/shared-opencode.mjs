// The OpenCode processes that files of tests share; see test/support/shared-opencode.ts.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { bunTest } from "./bun-test.mjs";
import { cpuOf } from "./cpu.mjs";

const MAIN = fileURLToPath(new URL("../test/support/shared-opencode-main.ts", import.meta.url));

/** One keeps about a core busy, and each is lent to one file at a time. */
const MOST = 2;

export function createHostPool() {
  const idle = [];
  let busy = 0;
  return {
    hasRoom: () => busy < MOST,
    /** Calls `use` with a host: the environment of a file that shares, and its CPU time so far. It is the file's own meanwhile. */
    async with(use) {
      busy += 1;
      try {
        const host = idle.pop() ?? (await startHost());
        const result = await use(host);
        // What one file did to it must not fail the next.
        if (result.code === 0 && host.isAlive()) idle.push(host);
        else await host.stop();
        return result;
      } finally {
        busy -= 1;
      }
    },
    close: () => Promise.all(idle.map((host) => host.stop())),
  };
}

/** @returns a host whose `env` is empty if it did not start: then each file starts one for itself, and says why it cannot */
function startHost() {
  const [bun] = bunTest();
  const child = spawn(bun, [MAIN], { stdio: ["pipe", "pipe", "inherit"] });
  let isAlive = true;
  const ended = new Promise((resolve) => {
    const end = () => {
      isAlive = false;
      resolve();
    };
    child.once("close", end).once("error", end);
  });
  const stop = () => {
    child.stdin.end();
    return ended;
  };
  const line = new Promise((resolve) => {
    let text = "";
    child.stdout.on("data", (chunk) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.trim());
    });
  });
  const toHost = (env, pid) => ({ env, stop, isAlive: () => isAlive, cpu: () => (pid && cpuOf(pid)) || 0 });
  return Promise.race([
    line.then((said) => toHost({ SHARED_OPENCODE: said }, JSON.parse(said).pid)),
    ended.then(() => toHost({})),
  ]);
}
