import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { boundProvider } from "../../src/sandboxes/bounded-provider.ts";
import type { Sandbox, SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { sandboxCommandsContract } from "./sandbox-commands.contract.ts";
import { sandboxOutputContract } from "./sandbox-output.contract.ts";
import { sh } from "./sandbox-shell.ts";

export interface ContractSubject {
  readonly name: string;
  /** Opens a provider. All providers of a subject see the same sandboxes. */
  open(): Promise<SandboxProvider>;
  readonly declares: {
    readonly snapshots: boolean;
    /** Commands write into real pipes, which can be opened by path, and which a child that outlives its command keeps. */
    readonly ownPipes: boolean;
  };
  /** Parts of every spec that this provider needs. */
  readonly spec?: Partial<SandboxSpec>;
}

/** What every provider guarantees. Each provider's own test file runs this suite and adds tests of its own. */
export function sandboxProviderContract({ name, open, declares, spec: own = {} }: ContractSubject): void {
  const specOf = (more: Partial<SandboxSpec> = {}): SandboxSpec => ({
    name: `contract-${crypto.randomUUID().slice(0, 8)}`, tags: { suite: "contract" }, snapshotID: null, workdir: "/workspace",
    env: { FROM_SPEC: "it's\ntwo lines" }, memoryMiB: null, network: "blocked", ...own, ...more,
  }); // biome-ignore format: a table
  const testSnapshots = test.skipIf(!declares.snapshots);

  describe(`${name} keeps the provider contract`, () => {
    let provider: SandboxProvider;
    let sandbox: Sandbox;
    const extra: Sandbox[] = [];
    const make = async (more: Partial<SandboxSpec> = {}) => {
      const made = await provider.create(specOf(more));
      extra.push(made);
      return made;
    };
    beforeAll(async () => {
      provider = await open();
      sandbox = await make();
    });
    afterAll(async () => {
      for (const each of extra) await each.terminate();
      await provider.close();
    });

    test("declares what it has", async () => {
      expect(provider.snapshots !== null).toBe(declares.snapshots);
    });

    describe("in its commands", () => sandboxCommandsContract(() => sandbox));
    describe("in the output of commands", () => sandboxOutputContract(() => sandbox, declares.ownPipes));

    test("a PATH of the spec leads to the sandbox's own programs too, in place of $PATH or behind it", async () => {
      const pathIn = async (PATH: string) =>
        (await sh(await make({ env: { PATH } }), 'ls / > /dev/null && printf %s "$PATH"')).stdout;
      const [own = "", ...after] = (await pathIn("/a:$PATH:/last")).slice("/a:".length).split(":/last");
      expect([own === "", after]).toEqual([false, [""]]);
      expect(await pathIn("/a")).toBe(`/a:${own}`);
    });

    test("paths and words that no system can take are refused at once", async () => {
      const bounded = boundProvider({ ...provider, create: async () => sandbox }, systemClock, 1_000);
      const same = await bounded.create(specOf());
      const refused = { name: "FileError", code: "file_failed" };
      for (const path of ["a\0b", "x".repeat(256), "y/".repeat(2_100)]) {
        await expect(same.readFile(path, { offset: 0, maxBytes: 9 })).rejects.toMatchObject(refused);
        await expect(same.writeFile(path, new Uint8Array())).rejects.toMatchObject(refused);
        await expect(same.start({ argv: ["ls"], workdir: path })).rejects.toMatchObject(refused);
      }
      await expect(same.start({ argv: ["echo", "a\0b"] })).rejects.toMatchObject(refused);
      await expect(same.start({ argv: ["env"], env: { A: "b\0" } })).rejects.toMatchObject(refused);
    });

    test("a file that is written anew keeps its mode, and a link to it stays a link", async () => {
      await sh(sandbox, "mkdir modes; cd modes; echo old >tool; chmod 750 tool; ln -s tool link");
      await sandbox.writeFile("modes/link", Buffer.from("new\n"));
      expect((await sh(sandbox, "cd modes; cat tool; stat -c %a tool; readlink link")).stdout).toBe("new\n750\ntool\n");
    });

    test("files are written with the folders above them, and read back in ranges, byte for byte", async () => {
      const bytes = new Uint8Array(100_000).map((_, at) => at % 256);
      await sandbox.writeFile("deep/er/file.bin", bytes);
      expect(await sandbox.readFile("deep/er/file.bin", { offset: 0, maxBytes: 200_000 })).toEqual(Buffer.from(bytes));
      expect(await sandbox.readFile(`${sandbox.workdir}/deep/er/file.bin`, { offset: 300, maxBytes: 5 })).toEqual(
        Buffer.from(bytes.slice(300, 305)),
      );
      expect((await sandbox.readFile("deep/er/file.bin", { offset: 200_000, maxBytes: 5 })).length).toBe(0);
      await sandbox.writeFile("deep/er/file.bin", new Uint8Array(0));
      expect((await sandbox.readFile("deep/er/file.bin", { offset: 0, maxBytes: 5 })).length).toBe(0);
      await sandbox.writeFile("run.sh", Buffer.from("#!/bin/sh\necho ran\n"), { executable: true });
      expect((await sh(sandbox, "./run.sh")).stdout).toBe("ran\n");
    });

    test("file errors carry their codes", async () => {
      await sh(sandbox, "mkdir -p folder; echo x > locked; chmod 000 locked; mkfifo fifo");
      const range = { offset: 0, maxBytes: 10 };
      for (const [path, code] of [
        ["none", "file_not_found"],
        ["folder", "is_directory"],
        ["locked", "permission_denied"],
        ["fifo", "file_failed"],
      ] as const) {
        await expect(sandbox.readFile(path, range)).rejects.toMatchObject({ name: "FileError", code });
      }
      await expect(sandbox.writeFile("folder", Buffer.from("x"))).rejects.toMatchObject({
        name: "FileError",
        code: "is_directory",
      });
      await expect(sandbox.writeFile("locked", Buffer.from("x"))).rejects.toMatchObject({
        name: "FileError",
        code: "permission_denied",
      });
      await expect(sandbox.writeFile("/usr/x", Buffer.from("x"))).rejects.toMatchObject({ name: "FileError" });
    });

    test("many commands run in parallel", async () => {
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, at) => sh(sandbox, `cat; echo ${at}`, { input: "in " })),
      );
      expect(all.map((each) => each.stdout)).toEqual(all.map((_, at) => `in ${at}\n`));
    });

    test("sandboxes are listed with their tags, found by id, and leave nothing when ended", async () => {
      const other = await make({ tags: { mine: "yes" } });
      expect((await provider.list()).find(({ id }) => id === other.id)?.tags).toEqual({ mine: "yes" });
      await other.writeFile("kept", Buffer.from("kept"));
      const again = await provider.attach(other.id, {});
      expect(Buffer.from(await again.readFile("kept", { offset: 0, maxBytes: 9 })).toString()).toBe("kept");
      const running = await other.start({ argv: ["sleep", "1000"] });
      await other.terminate();
      expect(await other.ended).toBeNull();
      expect((await running.exit).kind).not.toBe("exited");
      expect((await provider.list()).some(({ id }) => id === other.id)).toBe(false);
      await expect(other.start({ argv: ["true"] })).rejects.toMatchObject({ code: "sandbox_lost" });
      await expect(other.readFile("kept", { offset: 0, maxBytes: 9 })).rejects.toMatchObject({ code: "sandbox_lost" });
      await expect(provider.attach(other.id, {})).rejects.toMatchObject({ code: "sandbox_lost" });
      await other.terminate();
      await provider.terminate(other.id);
      await provider.terminate("no-such-id");
      await expect(provider.attach("../../etc", {})).rejects.toMatchObject({ code: "sandbox_lost" });
    });

    test("a sandbox's files are available to the next process", async () => {
      const first = await open();
      const made = await first.create(specOf());
      await made.writeFile("note", Buffer.from("still here"));
      await first.close();
      const second = await open();
      const found = await second.attach(made.id, specOf().env);
      expect((await sh(found, 'printf %s "$FROM_SPEC"')).stdout).toBe("it's\ntwo lines");
      expect(Buffer.from(await found.readFile("note", { offset: 0, maxBytes: 99 })).toString()).toBe("still here");
      await found.terminate();
      await second.close();
    });

    test("a creation that is cancelled rejects and leaves nothing", async () => {
      const before = (await provider.list()).length;
      const cancel = new AbortController();
      const made = provider.create(specOf(), cancel.signal);
      cancel.abort();
      await expect(made).rejects.toMatchObject({ name: "PluginError" });
      await made.catch(() => {});
      for (let attempt = 0; attempt < 100 && (await provider.list()).length > before; attempt += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await provider.list()).length).toBe(before);
    });

    testSnapshots("a snapshot restores the files as they were, without later changes", async () => {
      await sh(
        sandbox,
        "mkdir -p snap/in; echo v1 > snap/in/file; ln -s in/file snap/link; echo home > ~/of-home; chmod 700 snap/in; echo secret > snap/shut; chmod 000 snap/shut",
      );
      const snapshot = await provider.snapshots?.take(sandbox, null);
      await sh(sandbox, "echo v2 > snap/in/file");
      const fork = await make({ snapshotID: snapshot?.id ?? "" });
      expect((await sh(fork, "cat snap/link ~/of-home; readlink snap/link; stat -c %a snap/in snap/shut")).stdout).toBe(
        "v1\nhome\nin/file\n700\n0\n",
      );
      await sh(fork, "echo v3 > snap/in/file");
      expect((await sh(sandbox, "cat snap/in/file")).stdout).toBe("v2\n");
      await provider.snapshots?.remove(snapshot?.id ?? "");
      await provider.snapshots?.remove(snapshot?.id ?? "");
      await expect(provider.create(specOf({ snapshotID: snapshot?.id ?? "" }))).rejects.toMatchObject({
        name: "PluginError",
      });
    });

    testSnapshots("a snapshot of a directory contains only that directory, and is restored to its path", async () => {
      await sh(sandbox, "mkdir -p part/of; echo yes > part/of/it; echo no > part/other");
      const snapshot = await provider.snapshots?.take(sandbox, "part/of");
      const fork = await make({ snapshotID: snapshot?.id ?? "" });
      expect((await sh(fork, "cat part/of/it; ls part")).stdout).toBe("yes\nof\n");
      await provider.snapshots?.remove(snapshot?.id ?? "");
      await expect(provider.snapshots?.take(sandbox, "/usr/lib")).rejects.toMatchObject({ code: "snapshot_failed" });
    });
  });
}
