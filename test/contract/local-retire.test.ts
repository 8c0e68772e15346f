import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Sandbox, SandboxProvider, TakenSnapshot } from "../../src/sandboxes/port.ts";
import { localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();

/* A local sandbox that becomes a snapshot by changing its place: nothing is copied, and its files are never in no place. */

describe.skipIf(why !== null)(`a local sandbox is retired${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  let provider: SandboxProvider;
  beforeAll(() => {
    provider = localProvider(rootDir);
  });
  afterAll(async () => {
    await provider.close();
    rmSync(rootDir, { recursive: true, force: true });
  });
  const retire = (sandbox: Sandbox, keeping: (taken: TakenSnapshot) => void = () => {}) =>
    provider.snapshots?.retire(sandbox, { ending: () => {}, keeping }) ?? Promise.reject(new Error("no snapshots"));
  const folders = (kind: string) => readdirSync(join(rootDir, kind)).filter((name) => !name.startsWith("."));

  test("its files, of every kind, are in the sandbox made from the snapshot, and its processes have ended", async () => {
    const sandbox = await provider.create(localSpec());
    const made = `mkdir locked; echo kept > locked/file; ln locked/file linked; ln -s nowhere dangling; mkfifo pipe;
      chmod 000 locked; echo home > ~/file; echo tmp > /tmp/file; (sleep 600 >/dev/null 2>&1 &); chmod 000 .`;
    await sh(sandbox, made);
    let wasThere = false;
    const taken = await retire(sandbox, ({ id }) => {
      wasThere = !existsSync(join(rootDir, "snapshots", id)) && folders("sandboxes").includes(sandbox.id);
    });
    expect([wasThere, folders("sandboxes"), folders("snapshots")]).toEqual([true, [], [taken?.id ?? ""]]);
    expect(await sandbox.ended).toBeNull();
    const again = await provider.create(localSpec({ snapshotID: taken?.id ?? null }));
    const look =
      "chmod 755 /workspace; cd /workspace; chmod 755 locked; cat locked/file linked ~/file /tmp/file; readlink dangling; ls -p";
    const found = await sh(again, look, { workdir: "/tmp" });
    expect(found).toMatchObject({ stdout: "kept\nkept\nhome\ntmp\nnowhere\ndangling\nlinked\nlocked/\npipe\n" });
    await again.terminate();
    await provider.snapshots?.remove(taken?.id ?? "");
    expect([folders("sandboxes"), folders("snapshots")]).toEqual([[], []]);
  });

  test("ending it afterwards changes nothing", async () => {
    const sandbox = await provider.create(localSpec());
    const taken = await retire(sandbox);
    await sandbox.terminate();
    await provider.terminate(sandbox.id);
    expect(folders("snapshots")).toEqual([taken?.id ?? ""]);
    await provider.snapshots?.remove(taken?.id ?? "");
  });

  test("where the record cannot be written, the sandbox is found again with its files, and retired later", async () => {
    const sandbox = await provider.create(localSpec());
    await sh(sandbox, "echo kept > file");
    const failing = retire(sandbox, () => {
      throw new Error("disk full");
    });
    await expect(failing).rejects.toMatchObject({ code: "snapshot_failed" });
    const attached = await provider.attach(sandbox.id, {});
    expect(await sh(attached, "cat file")).toMatchObject({ stdout: "kept\n" });
    const taken = await retire(attached);
    expect([folders("sandboxes"), folders("snapshots")]).toEqual([[], [taken?.id ?? ""]]);
    await provider.snapshots?.remove(taken?.id ?? "");
  });

  test("the next process finds the files of a sandbox whose process died right after they had changed their place", async () => {
    const sandbox = await provider.create(localSpec());
    await sh(sandbox, "echo kept > file");
    const taken = await retire(sandbox);
    const next = localProvider(rootDir);
    await expect(next.attach(sandbox.id, {})).rejects.toMatchObject({ code: "sandbox_lost", retryable: false });
    expect(await next.snapshots?.ofLost(sandbox.id)).toEqual(taken);
    await next.snapshots?.remove(taken?.id ?? "");
    expect(await next.snapshots?.ofLost(sandbox.id)).toBeNull();
    await next.close();
  });
});

test.skipIf(why !== null)(
  "without namespaces, whose end is the end of all processes, no sandbox is retired",
  async () => {
    const rootDir = newRoot();
    const provider = localProvider(rootDir, { isolation: "none" });
    const sandbox = await provider.create(localSpec({ network: "open" }));
    const events: string[] = [];
    const on = { ending: () => void events.push("ending"), keeping: () => void events.push("keeping") };
    expect([await provider.snapshots?.retire(sandbox, on), events]).toEqual([null, []]);
    await sandbox.terminate();
    await provider.close();
    rmSync(rootDir, { recursive: true, force: true });
  },
);
