import { describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { closeSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";
import { leftOf, localProvider, localSpec, newRoot, openAll, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();
const FEW_FILES = 600;

describe.skipIf(why !== null)(`open files of local sandboxes${why ? ` (skipped: ${why})` : ""}`, () => {
  test("that do not suffice for one more are told at once, and are no fault of the machine", () =>
    withProvider(async (provider) => {
      await (await provider.create(localSpec())).terminate();
      await withFewFiles(24, async () => {
        const failure = await provider.create(localSpec()).catch((error: unknown) => error);
        return { failure, code: "sandbox_create_failed", said: /^No sandbox can be made now, .*ulimit -n/ };
      });
      await (await provider.create(localSpec())).terminate();
    }));

  test("that do not suffice for one more command are told at once", () =>
    withProvider(async (provider) => {
      const sandbox = await provider.create(localSpec());
      expect((await sh(sandbox, "echo x")).stdout).toBe("x\n");
      await withFewFiles(14, async () => {
        const failure = await sandbox.start({ argv: ["true"] }).catch((error: unknown) => error);
        return { failure, code: "command_failed", said: /^The command cannot be started now, .*ulimit -n/ };
      });
      expect((await sh(sandbox, "echo y")).stdout).toBe("y\n");
      await sandbox.terminate();
    }));

  test("are as many after 200 sandboxes and commands as after a few", () =>
    withProvider(async (provider) => {
      const turn = async () => {
        const sandbox = await provider.create(localSpec());
        expect((await sh(sandbox, "echo x")).stdout).toBe("x\n");
        await sandbox.terminate();
      };
      const turns = async (count: number) => {
        for (let n = 0; n < count; n += 1) await turn();
        await leftOf("/nowhere"); // descriptors of ended sandboxes are closed in the background
        return readdirSync("/proc/self/fd").length;
      };
      const few = await turns(5);
      // The pool of pipes holds between 6 and 30 pairs of them.
      expect(await turns(200)).toBeLessThan(few + 2 * 24 + 1);
    }));
});

/** Makes something fail with each number of further files, up to `most`, that this process may open. */
async function withFewFiles(
  most: number,
  fail: () => Promise<{ readonly failure: unknown; readonly code: string; readonly said: RegExp }>,
): Promise<void> {
  const before = /^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1];
  const limitFiles = (to: unknown) => spawnSync("prlimit", ["--pid", String(process.pid), `--nofile=${to}:`]);
  limitFiles(FEW_FILES);
  try {
    for (let free = 0; free <= most; free += 1) {
      const files = openAll();
      for (const fd of files.splice(0, free)) closeSync(fd);
      const begun = performance.now();
      const { failure, code, said } = await fail();
      const took = performance.now() - begun;
      for (const fd of files) closeSync(fd);
      expect(failure).toMatchObject({ code, retryable: true });
      expect((failure as Error).message).toMatch(said);
      if (free > 0) expect((failure as Error).message).toContain(`it may have ${FEW_FILES}`);
      expect(took).toBeLessThan(5_000);
    }
  } finally {
    limitFiles(before);
  }
}

async function withProvider(use: (provider: SandboxProvider) => Promise<void>): Promise<void> {
  const rootDir = newRoot();
  const provider = localProvider(rootDir);
  try {
    await use(provider);
    await provider.close();
    expect(await leftOf(rootDir)).toEqual([]);
  } finally {
    rmSync(rootDir, { recursive: true, force: true });
  }
}
