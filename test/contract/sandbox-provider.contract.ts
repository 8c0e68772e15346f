import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { ExecRequest, ExitStatus, Sandbox, SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";

export interface ContractSubject {
  readonly name: string;
  /** A provider ready for use. Those opened from the same subject see the same sandboxes. */
  open(): Promise<SandboxProvider>;
  readonly declares: { readonly snapshots: boolean };
  /** For environments a subject needs; the rest of the spec is the suite's. */
  readonly spec?: Partial<SandboxSpec>;
  readonly timeoutMs?: number;
}

export interface Ran {
  readonly exit: ExitStatus;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a shell command to its end, its input closed unless given. */
export async function sh(
  sandbox: Sandbox,
  command: string,
  request: Partial<ExecRequest> & { input?: string } = {},
): Promise<Ran> {
  const { input, ...rest } = request;
  const child = await sandbox.start({ argv: ["sh", "-c", command], ...rest });
  if (input !== undefined) await child.write(Buffer.from(input));
  await child.closeInput();
  const parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };
  for await (const chunk of child.output) parts[chunk.stream].push(chunk.bytes);
  return {
    exit: await child.exit,
    stdout: Buffer.concat(parts.stdout).toString(),
    stderr: Buffer.concat(parts.stderr).toString(),
  };
}

export const exited = (code: number): ExitStatus => ({ kind: "exited", code });

/** What every provider promises. A provider's own test file calls this and adds what is special to it. */
export function sandboxProviderContract({
  name,
  open,
  declares,
  spec: own = {},
  timeoutMs = 30_000,
}: ContractSubject): void {
  const specOf = (more: Partial<SandboxSpec> = {}): SandboxSpec => ({
    name: `contract-${crypto.randomUUID().slice(0, 8)}`, tags: { suite: "contract" }, snapshotID: null, workdir: "/workspace",
    env: { FROM_SPEC: "it's\ntwo lines" }, memoryMiB: null, network: "blocked", ...own, ...more,
  }); // biome-ignore format: a table
  const check = (title: string, body: () => Promise<void>) => test(title, body, timeoutMs);
  const checkSnapshots = (title: string, body: () => Promise<void>) =>
    test.skipIf(!declares.snapshots)(title, body, timeoutMs);

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
    }, timeoutMs);
    afterAll(async () => {
      for (const each of extra) await each.terminate();
      await provider.close();
    }, timeoutMs);

    check("declares what it has", async () => {
      expect(provider.snapshots !== null).toBe(declares.snapshots);
    });

    check("a command's output arrives by stream, and its exit code is a value", async () => {
      expect(await sh(sandbox, "echo out; echo err >&2; exit 7")).toEqual({
        exit: exited(7),
        stdout: "out\n",
        stderr: "err\n",
      });
    });

    check("arguments reach the program as they are, without a shell in between", async () => {
      const odd = ["a b", "$HOME", "'\"", "", "*", "new\nline", "ünï", "-n"];
      const child = await sandbox.start({ argv: ["printf", "[%s]", ...odd] });
      let text = "";
      for await (const chunk of child.output) text += Buffer.from(chunk.bytes).toString();
      expect(text).toBe(odd.map((each) => `[${each}]`).join(""));
    });

    check("a program that does not exist exits with 127", async () => {
      const child = await sandbox.start({ argv: ["no-such-program-here"] });
      for await (const _ of child.output);
      expect(await child.exit).toEqual(exited(127));
    });

    check("commands start in the workdir, in a directory below it, or at an absolute path", async () => {
      await sh(sandbox, "mkdir -p sub");
      expect((await sh(sandbox, "pwd")).stdout).toBe(`${sandbox.workdir}\n`);
      expect((await sh(sandbox, "pwd", { workdir: "sub" })).stdout).toBe(`${sandbox.workdir}/sub\n`);
      expect((await sh(sandbox, "pwd", { workdir: "/usr" })).stdout).toBe("/usr\n");
    });

    check("a missing working directory is refused, not an exit code", async () => {
      await expect(sandbox.start({ argv: ["true"], workdir: "no/such" })).rejects.toMatchObject({
        code: "file_not_found",
      });
    });

    check("environment comes from the spec and the request, and nothing of the host's", async () => {
      process.env.CONTRACT_CANARY = "of the host";
      const { stdout } = await sh(sandbox, 'printf "%s|%s|%s|%s" "$FROM_SPEC" "$MORE" "$CONTRACT_CANARY" "$HOME"', {
        env: { MORE: "more" },
      });
      delete process.env.CONTRACT_CANARY;
      expect(stdout).toBe(`it's\ntwo lines|more||${sandbox.home}`);
    });

    check("standard input is written and closed", async () => {
      expect((await sh(sandbox, "cat; echo end", { input: "hello " })).stdout).toBe("hello end\n");
      const big = "x".repeat(1_000_000);
      expect((await sh(sandbox, "wc -c", { input: big })).stdout.trim()).toBe("1000000");
    });

    check("a signal reaches the whole process group and shows in the exit", async () => {
      const child = await sandbox.start({ argv: ["sh", "-c", "sleep 1001 & echo $!; wait"] });
      const reader = child.output[Symbol.asyncIterator]();
      const below = Number.parseInt(Buffer.from((await reader.next()).value?.bytes ?? []).toString(), 10);
      expect((await sh(sandbox, `kill -0 ${below}`)).exit).toEqual(exited(0));
      await child.signal("SIGTERM");
      expect(await child.exit).toEqual({ kind: "signalled", signal: "SIGTERM" });
      expect(
        (await sh(sandbox, `for i in $(seq 50); do kill -0 ${below} 2>/dev/null || exit 0; sleep 0.1; done; exit 1`))
          .exit,
      ).toEqual(exited(0));
      await child.signal("SIGTERM"); // A process that has ended is no error.
    });

    check("a command may handle a signal, and its own exit code counts", async () => {
      for (const tty of [false, true]) {
        const child = await sandbox.start({
          argv: ["sh", "-c", "trap 'echo cleaning; exit 9' TERM; echo ready; while :; do sleep 0.05; done"],
          tty,
        });
        const reader = child.output[Symbol.asyncIterator]();
        await reader.next();
        await child.signal("SIGTERM");
        let text = "";
        for (let next = await reader.next(); !next.done; next = await reader.next())
          text += Buffer.from(next.value.bytes).toString();
        expect(text).toContain("cleaning"); // Some shells also remark on their `sleep`.
        expect(await child.exit).toEqual(exited(9));
      }
    });

    check("a stopped command goes on when continued, and can be killed", async () => {
      const child = await sandbox.start({ argv: ["sh", "-c", "echo ready; sleep 0.2; exit 4"] });
      await child.signal("SIGSTOP");
      await new Promise((resolve) => setTimeout(resolve, 500));
      await child.signal("SIGCONT");
      expect(await child.exit).toEqual(exited(4));
      const other = await sandbox.start({ argv: ["sleep", "1000"] });
      await other.signal("SIGSTOP");
      await other.signal("SIGKILL");
      expect(await other.exit).toEqual({ kind: "signalled", signal: "SIGKILL" });
    });

    check("SIGKILL ends what ignores everything else", async () => {
      const child = await sandbox.start({
        argv: ["sh", "-c", "trap '' TERM INT HUP; echo ready; while :; do sleep 1; done"],
      });
      await child.output[Symbol.asyncIterator]().next();
      await child.signal("SIGTERM");
      await child.signal("SIGINT");
      expect(await Promise.race([child.exit, new Promise((resolve) => setTimeout(() => resolve("runs"), 300))])).toBe(
        "runs",
      );
      await child.signal("SIGKILL");
      expect(await child.exit).toEqual({ kind: "signalled", signal: "SIGKILL" });
    });

    check("output ends with the command, not with a child it leaves behind", async () => {
      expect((await sh(sandbox, "sleep 1000 & echo done")).stdout).toBe("done\n");
      // Even when that child goes on writing.
      expect((await sh(sandbox, "yes & echo done; sleep 0.1; exit 3")).exit).toEqual(exited(3));
      await sh(sandbox, "pkill yes; pkill sleep; true");
    });

    check("all output arrives, also much of it, also to a slow reader", async () => {
      const child = await sandbox.start({ argv: ["sh", "-c", "head -c 20000000 /dev/zero; echo >&2 end"] });
      let length = 0;
      let chunks = 0;
      for await (const chunk of child.output) {
        if (chunk.stream === "stdout") length += chunk.bytes.length;
        if (chunks++ % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      expect(length).toBe(20_000_000);
    });

    // Bun 1.3.14 reads a child's pipes ahead whatever the stream says (pause, read, iteration): the heap fills. To be
    // removed when output no longer comes through the runtime's own pipes.
    test.skipIf(process.versions.bun !== undefined)(
      "a reader that stands still stalls the command instead of filling the heap",
      async () => {
        const child = await sandbox.start({
          argv: ["sh", "-c", "yes | head -c 300000000 | tee /dev/null; echo finished > finished"],
        });
        await new Promise((resolve) => setTimeout(resolve, 1000));
        await expect(sandbox.readFile("finished", { offset: 0, maxBytes: 1 })).rejects.toMatchObject({
          code: "file_not_found",
        });
        await child.signal("SIGKILL");
        for await (const _ of child.output);
      },
      timeoutMs,
    );

    check("the complete output is kept in a file when asked for", async () => {
      const child = await sandbox.start({ argv: ["sh", "-c", "echo one; echo two >&2"], keepLog: true });
      for await (const _ of child.output);
      expect(child.logPath).not.toBeNull();
      expect(
        Buffer.from(await sandbox.readFile(child.logPath ?? "", { offset: 0, maxBytes: 100 }))
          .toString()
          .split("\n")
          .sort(),
      ).toEqual(["", "one", "two"]);
    });

    check("a terminal is one when asked for", async () => {
      const { stdout, exit } = await sh(sandbox, "test -t 0 && test -t 1 && echo terminal; exit 5", { tty: true });
      expect(stdout.trim()).toBe("terminal");
      expect(exit).toEqual(exited(5));
    });

    check("files are written with their folders and read back in ranges, bytes as they are", async () => {
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

    check("file errors carry their codes", async () => {
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

    check("many commands run side by side", async () => {
      const all = await Promise.all(
        Array.from({ length: 20 }, (_, at) => sh(sandbox, `cat; echo ${at}`, { input: "in " })),
      );
      expect(all.map((each) => each.stdout)).toEqual(all.map((_, at) => `in ${at}\n`));
    });

    check("sandboxes are listed with their tags, found by id, and end without a trace", async () => {
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

    check("a sandbox's files are there for the next process", async () => {
      const first = await open();
      const made = await first.create(specOf());
      await made.writeFile("note", Buffer.from("still here"));
      await first.close();
      const second = await open();
      const found = await second.attach(made.id, { GIVEN_ANEW: "a 'secret'" });
      expect((await sh(found, 'printf "%s|%s" "$GIVEN_ANEW" "$FROM_SPEC"')).stdout).toBe("a 'secret'|");
      expect(Buffer.from(await found.readFile("note", { offset: 0, maxBytes: 99 })).toString()).toBe("still here");
      await found.terminate();
      await second.close();
    });

    check("a creation that is cancelled rejects and leaves nothing", async () => {
      const before = (await provider.list()).length;
      const cancel = new AbortController();
      const made = provider.create(specOf(), cancel.signal);
      cancel.abort();
      await expect(made).rejects.toMatchObject({ name: "LabError" });
      await made.catch(() => {});
      for (let attempt = 0; attempt < 100 && (await provider.list()).length > before; attempt += 1)
        await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await provider.list()).length).toBe(before);
    });

    checkSnapshots("a snapshot restores the files it was taken with, and later changes stay apart", async () => {
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
        name: "LabError",
      });
    });

    checkSnapshots("a snapshot of a directory holds that directory only, and is put back in its place", async () => {
      await sh(sandbox, "mkdir -p part/of; echo yes > part/of/it; echo no > part/other");
      const snapshot = await provider.snapshots?.take(sandbox, "part/of");
      const fork = await make({ snapshotID: snapshot?.id ?? "" });
      expect((await sh(fork, "cat part/of/it; ls part")).stdout).toBe("yes\nof\n");
      await provider.snapshots?.remove(snapshot?.id ?? "");
      await expect(provider.snapshots?.take(sandbox, "/usr/lib")).rejects.toMatchObject({ code: "snapshot_failed" });
    });
  });
}
