import { afterAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();

describe.skipIf(why !== null)(`a local sandbox's own files${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  const provider = localProvider(rootDir);
  afterAll(async () => {
    await provider.close();
    rmSync(rootDir, { recursive: true, force: true });
  });

  test("get the programs that npm installs, unless the environment says where", async () => {
    for (const [env, prefix] of [
      [{}, "/home/agent/.local"],
      [{ NPM_CONFIG_PREFIX: "/workspace/npm" }, "/workspace/npm"],
      [{ npm_config_prefix: "/workspace/npm" }, ""],
    ] as const) {
      const sandbox = await provider.create(localSpec({ env }));
      expect((await sh(sandbox, 'printf %s "$NPM_CONFIG_PREFIX"')).stdout).toBe(prefix);
      await sandbox.terminate();
    }
  });

  test("are not written below a file, which the failure says", async () => {
    const sandbox = await provider.create(localSpec());
    await sandbox.writeFile("a.txt", Buffer.from("a"));
    for (const path of ["a.txt/b", "a.txt/b/c", "/workspace/a.txt/b"])
      await expect(sandbox.writeFile(path, Buffer.from("b"))).rejects.toMatchObject({
        code: "file_failed",
        message: expect.stringContaining("a part of its path is a file, not a folder"),
      });
    await sandbox.writeFile("deep/er/b", Buffer.from("b"));
    await sandbox.terminate();
  });
});
