import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { isRoot } from "../support/as-ordinary-user.ts";
import { childrenOf, leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();
const DEVICES = ["null", "zero", "full", "random", "urandom"].map((name) => `/dev/${name}`);
const CANARY = `canary-${crypto.randomUUID()}`;

describe.skipIf(why !== null)(`a job that attacks what the host does for it${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  const hostDir = newRoot();
  let provider: SandboxProvider;
  let sandbox: Sandbox;
  beforeAll(async () => {
    writeFileSync(join(hostDir, "canary"), CANARY);
    provider = localProvider(rootDir);
    sandbox = await provider.create(localSpec());
  });
  afterAll(async () => {
    await sandbox.terminate();
    await provider.close();
    expect(await leftOf(rootDir)).toEqual([]);
    for (const each of [rootDir, hostDir]) rmSync(each, { recursive: true, force: true });
  });

  // Where the host process is root, the job's user owns the devices.
  test("cannot change the host's devices, in its first command or a later one, and writes to them", async () => {
    const modes = () => DEVICES.map((path) => statSync(path).mode & 0o7777);
    const before = modes();
    try {
      const attack = `chmod o+x ${DEVICES.join(" ")} 2>/dev/null && echo CHANGED; echo x > /dev/null && echo written`;
      for (let round = 0; round < 2; round += 1) expect((await sh(sandbox, attack)).stdout).toBe("written\n");
      expect(modes()).toEqual(before);
    } finally {
      for (const [index, mode] of before.entries()) if (isRoot()) chmodSync(DEVICES[index] as string, mode);
    }
  });

  test("cannot have the host's files copied by swapping a directory for a link during a snapshot", async () => {
    await sh(sandbox, "mkdir -p big/deep; for i in $(seq 300); do echo x > big/deep/$i; done");
    const swapper = await sandbox.start({
      argv: [
        "sh",
        "-c",
        `while :; do mv big/deep big/d2; ln -s ${hostDir} big/deep; rm big/deep; mv big/d2 big/deep; done`,
      ],
    });
    for (let round = 0; round < 5; round += 1) {
      for (const path of [null, "big/deep"]) {
        const taken = await provider.snapshots?.take(sandbox, path).catch(() => null);
        if (!taken) continue;
        const grep = Bun.spawnSync(["grep", "-rl", CANARY, join(rootDir, "snapshots", taken.id)]);
        expect(grep.stdout.toString()).toBe("");
        await provider.snapshots?.remove(taken.id);
      }
    }
    await swapper.signal("SIGKILL");
    await sh(sandbox, `rm -rf big; mkdir big; ln -s ${hostDir} big/out`);
    await expect(provider.snapshots?.take(sandbox, "big/out")).rejects.toMatchObject({ code: "snapshot_failed" });
    await expect(provider.snapshots?.take(sandbox, "../../etc")).rejects.toMatchObject({ code: "snapshot_failed" });
  });

  test("cannot prevent the removal of its files, nor get other files removed through a link", async () => {
    const other = await provider.create(localSpec());
    await sh(other, `mkdir -p a/b; echo x > a/b/c; chmod 000 a/b a; ln -s ${hostDir} out; ln -s ${hostDir} ~/out`);
    await other.terminate();
    expect(existsSync(join(rootDir, "sandboxes", other.id))).toBe(false);
    expect(readFileSync(join(hostDir, "canary"), "utf8")).toBe(CANARY);
  });

  test("nothing runs on the host instead when its isolation has ended", async () => {
    const before = childrenOf(process.pid);
    const other = await provider.create(localSpec());
    const bwrap = Number.parseInt(
      childrenOf(process.pid).find((each) => each.includes("bwrap") && !before.includes(each)) ?? "",
      10,
    );
    expect(bwrap).toBeGreaterThan(1);
    const marker = join(hostDir, "ran-on-host");
    process.kill(bwrap, "SIGKILL");
    // Both at the moment the isolation ends, before the end is known here, and afterwards.
    const early = await other.start({ argv: ["touch", marker] }).then(
      () => null,
      (error) => error,
    );
    expect(await other.ended).toMatchObject({ code: "sandbox_lost" });
    if (early) expect(early).toMatchObject({ code: "sandbox_lost" });
    await expect(other.start({ argv: ["touch", marker] })).rejects.toMatchObject({ code: "sandbox_lost" });
    await expect(other.writeFile(marker, Buffer.from("x"))).rejects.toMatchObject({ code: "sandbox_lost" });
    expect(existsSync(marker)).toBe(false);
    // Its files are still there, and can be isolated again.
    expect((await sh(await provider.attach(other.id, {}), "echo back")).stdout).toBe("back\n");
    await provider.terminate(other.id);
  });
});
