import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import { localProvider, localSpec, newRoot } from "./local-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

// Without isolation commands run on this machine as this user, so this file does not run the contract's own commands.
test("without isolation, commands, files, snapshots and attaching again work in the sandbox's own directories", async () => {
  const rootDir = newRoot();
  const first = localProvider(rootDir, { isolation: "none" });
  const sandbox = await first.create(localSpec({ env: { SECRET: "s" } }));
  try {
    expect(sandbox.workdir.startsWith(`${rootDir}/`)).toBe(true);
    expect(sandbox.notes.join()).toContain("not isolated");
    const said = await sh(sandbox, 'pwd; printf "%s|%s\\n" "$SECRET" "$HOME"; cat; echo err > /dev/stderr; exit 4', {
      input: "in\n",
    });
    expect(said).toEqual({ exit: exited(4), stdout: `${sandbox.workdir}\ns|${sandbox.home}\nin\n`, stderr: "err\n" });
    await sandbox.writeFile("deep/file", Buffer.from("v1"));
    const snapshot = await first.snapshots?.take(sandbox, null);
    await sandbox.writeFile("deep/file", Buffer.from("v2"));
    const revived = await first.create(localSpec({ snapshotID: snapshot?.id ?? "" }));
    const read = async (from: typeof sandbox) =>
      Buffer.from(await from.readFile("deep/file", { offset: 0, maxBytes: 9 })).toString();
    expect([await read(sandbox), await read(revived)]).toEqual(["v2", "v1"]);
    const kept = await sandbox.start({ argv: ["sh", "-c", "echo kept; exec sleep 1005"], keepLog: true });
    await kept.output[Symbol.asyncIterator]().next();
    await kept.signal("SIGTERM");
    expect(await kept.exit).toEqual({ kind: "signalled", signal: "SIGTERM" });
    expect(Buffer.from(await sandbox.readFile(kept.logPath ?? "", { offset: 0, maxBytes: 9 })).toString()).toBe(
      "kept\n",
    );
    await first.snapshots?.remove(snapshot?.id ?? "");
    await first.close();
    const second = localProvider(rootDir, { isolation: "none" });
    const found = await second.attach(sandbox.id, { SECRET: "again" });
    expect((await sh(found, 'cat deep/file; echo "$SECRET"')).stdout).toBe("v2again\n");
    for (const { id } of await second.list()) await second.terminate(id);
    expect(await second.list()).toEqual([]);
    await second.close();
  } finally {
    rmSync(rootDir, { recursive: true, force: true });
  }
});
