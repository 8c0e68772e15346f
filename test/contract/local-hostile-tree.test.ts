import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox, SandboxProvider, TakenSnapshot } from "../../src/sandboxes/port.ts";
import { runAlsoAsOrdinaryUser, who } from "../support/as-ordinary-user.ts";
import { asRoot, describeTree, HOSTILE_TREE, takenKiB } from "./hostile-tree.ts";
import { leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { exited, type Ran, sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();

describe.skipIf(why !== null)(`a job's files of every kind, as ${who}${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  const kinds = Object.entries(HOSTILE_TREE);
  const folder = (id: string, at: number) => join(rootDir, "sandboxes", id, "workspace", String(at));
  const made: Ran[] = [];
  let provider: SandboxProvider;
  let sandbox: Sandbox;
  let taken: TakenSnapshot;
  let fork: Sandbox;

  beforeAll(async () => {
    provider = localProvider(rootDir);
    sandbox = await provider.create(localSpec());
    for (const [at, [, command]] of kinds.entries())
      made.push(await sh(sandbox, `set -e; mkdir ${at}; cd ${at}; ${command}`));
    taken = (await provider.snapshots?.take(sandbox, null)) as TakenSnapshot;
    fork = await provider.create(localSpec({ snapshotID: taken.id }));
  });
  afterAll(() => rmSync(rootDir, { recursive: true, force: true }));

  for (const [at, [what]] of kinds.entries()) {
    test(`a snapshot keeps ${what}, and a sandbox created from it has the same files`, () => {
      expect(made[at]).toEqual({ stdout: "", stderr: "", exit: exited(0) });
      const before = describeTree(folder(sandbox.id, at));
      expect(before.length).toBeGreaterThan(1);
      expect(describeTree(folder(fork.id, at))).toEqual(before);
      if (what === "a file with holes") expect(takenKiB(join(folder(fork.id, at), "holes"))).toBeLessThan(1024);
    });
  }

  test("nothing was left out of the snapshot, and every file was counted", () => {
    expect([taken.leftOut, fork.notes.filter((note) => note.includes("Not copied"))]).toEqual([[], []]);
    const { stdout } = asRoot(["du", "-s", "--inodes", join(rootDir, "snapshots", taken.id)]);
    expect(taken.files).toBe(Number.parseInt(String(stdout), 10));
  });

  test("a folder without permissions can be snapshotted alone, and a path that leads out cannot", async () => {
    const closed = kinds.findIndex(([what]) => what === "a folder that nobody may enter");
    const part = await provider.snapshots?.take(sandbox, `${closed}/closed`);
    const one = await provider.create(localSpec({ snapshotID: part?.id ?? "" }));
    expect((await sh(one, `chmod 700 ${closed}/closed; cat ${closed}/closed/f; ls`)).stdout).toBe(`in\n${closed}\n`);
    await sh(sandbox, "ln -s /etc etc");
    await expect(provider.snapshots?.take(sandbox, "etc")).rejects.toMatchObject({ code: "snapshot_failed" });
    await Promise.all([one.terminate(), provider.snapshots?.remove(part?.id ?? "")]);
  });

  test("every file can be removed", async () => {
    await provider.snapshots?.remove(taken.id);
    await Promise.all([sandbox.terminate(), fork.terminate()]);
    await provider.close();
    expect(await leftOf(rootDir)).toEqual([]);
  });
});

if (why === null) runAlsoAsOrdinaryUser(import.meta.path);
