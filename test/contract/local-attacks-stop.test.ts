import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { bunTest, TEST_LIMIT_MS } from "../../.ci/bun-test.mjs";
import type { Sandbox, SandboxProcess, SandboxProvider } from "../../src/sandboxes/port.ts";
import { type Clock, systemClock } from "../../src/shared/clock.ts";
import { pause, until } from "../support/wait.ts";
import { USERS } from "./attack-users.ts";
import { leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();
const ROOT = join(import.meta.dir, "../..");
const RANGE = { offset: 0, maxBytes: 100 };

/** Divides long time limits by ten: those that calls run into when a job obstructs them. Short ones stay as they are. */
const impatientClock: Clock = {
  now: systemClock.now,
  after: (ms, done) => systemClock.after(ms >= 25_000 ? ms / 10 : ms, done),
};

const everyProcess = (signal: string) => `python3 -c "
import os, signal
while True:
  for name in os.listdir('/proc'):
    if name.isdigit() and int(name) not in (1, os.getpid()):
      try: os.kill(int(name), signal.${signal})
      except OSError: pass
"`;

/** What a job leaves running. Each command prints a line once it is at work. */
const HOSTILE: Readonly<Record<string, string>> = {
  "stops every process it sees": everyProcess("SIGSTOP"),
  "kills every process it sees": everyProcess("SIGKILL"),
  "stops and continues every process it sees": everyProcess("SIGSTOP); os.kill(int(name), signal.SIGCONT"),
  "uses up the limit on processes": "while :; do sleep 1009 & done",
  "is a fork bomb": "b() { b | b & }; while :; do b; done",
  "takes all memory":
    "head -c 60000000 /dev/zero > /dev/shm/x; while :; do python3 -c 'x = bytearray(60000000); import time; time.sleep(1009)'; done",
  "ignores every signal and stops itself": "trap '' TERM INT HUP CONT; kill -STOP $$; sleep 1009",
  "hides its processes from inspection":
    "python3 -c 'import ctypes, signal, time; ctypes.CDLL(None).prctl(4, 0); signal.signal(15, signal.SIG_IGN); time.sleep(1009)'",
  "replaces programs on PATH and locks its home":
    "mkdir -p ~/bin; for f in sh git cat tail head mkdir; do printf '#!/bin/sh\\nsleep 1009\\n' > ~/bin/$f; chmod +x ~/bin/$f; done; chmod 000 ~ ; sleep 1009",
};

describe.skipIf(why !== null)(`a job that resists being stopped${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  let provider: SandboxProvider;
  beforeAll(() => {
    provider = localProvider(rootDir, { clock: impatientClock, limits: { processes: 64, memoryMiB: 128 } });
  });
  afterAll(async () => {
    await provider.close();
    expect(await leftOf(rootDir)).toEqual([]);
    rmSync(rootDir, { recursive: true, force: true });
  });

  /** Starts the hostile command, beside a command that was running before. */
  async function beset(attack: string): Promise<{ sandbox: Sandbox; victim: SandboxProcess; hostile: SandboxProcess }> {
    const sandbox = await provider.create(localSpec());
    await sandbox.writeFile("work", Buffer.from("so far"));
    const victim = await sandbox.start({ argv: ["sh", "-c", "trap '' TERM; sleep 1009; echo never"] });
    const hostile = await sandbox.start({ argv: ["bash", "-c", `echo begun; ${attack}`] });
    for await (const _ of hostile.output) break;
    await pause(300);
    return { sandbox, victim, hostile };
  }

  for (const [what, attack] of Object.entries(HOSTILE)) {
    test(`and ${what}: its commands can be killed, its files read and frozen, and its sandbox ended`, async () => {
      const { sandbox, victim, hostile } = await beset(attack);
      try {
        // Starting a command and reading a file may fail, but both calls end.
        const asked = await Promise.all([
          sh(sandbox, "echo in").then(
            ({ stdout }) => ["in\n", ""].includes(stdout),
            ({ code }) => code === "sandbox_lost",
          ),
          sandbox.readFile("work", RANGE).then(
            (bytes) => Buffer.from(bytes).toString() === "so far",
            ({ code }) => ["sandbox_lost", "file_failed"].includes(code),
          ),
        ]);
        expect(asked).toEqual([true, true]);
        const seen = await sandbox.view?.(async (files) => [
          Buffer.from(await files.readFile("work", RANGE)).toString(),
          (await sh(files, "ls /proc | grep -c '^[0-9]'; cat work")).stdout.replace(/^[1-6]\n/, ""),
        ]);
        expect(seen).toEqual(["so far", "so far"]);
        const { id } = (await provider.snapshots?.take(sandbox, "/workspace")) ?? { id: "" };
        const again = await provider.create(localSpec({ snapshotID: id }));
        expect((await sh(again, "cat work")).stdout).toBe("so far");
        await Promise.all([again.terminate(), provider.snapshots?.remove(id)]);
        for (const each of [victim, hostile]) await each.signal("SIGTERM");
        for (const each of [victim, hostile]) await each.signal("SIGKILL");
        for (const each of [victim, hostile]) expect((await each.exit).kind).not.toBe("unknown");
      } finally {
        await sandbox.terminate();
      }
      expect(await sandbox.ended).toBeNull();
    });
  }

  test("has its processes resumed after its files were read: running ones run, stopped ones stay stopped", async () => {
    const sandbox = await provider.create(localSpec());
    try {
      const tick = "while :; do echo x >> ticks; echo x; sleep 0.01; done";
      const ticker = await sandbox.start({ argv: ["sh", "-c", tick], tty: true });
      const shown = ticker.output[Symbol.asyncIterator]();
      const stopped = await sandbox.start({ argv: ["sh", "-c", "kill -STOP $$; echo woken"] });
      const states = async () =>
        (await sh(sandbox, `cut -d' ' -f3 /proc/${stopped.id}/stat /proc/${ticker.id}/stat`)).stdout.replace(/\n/g, "");
      await until(async () => /^T[RSD]$/.test(await states()), { what: "one command is stopped" });
      const counted = async (files: Sandbox) => Number((await sh(files, "wc -l < ticks")).stdout);
      let late: Promise<unknown> = Promise.resolve();
      const [first, second] = (await sandbox.view?.(async (files) => {
        const first = await counted(files);
        late = sh(sandbox, "echo late > late"); // waits until `view` is done
        await pause(100);
        expect((await sh(files, "test -e late")).exit).toEqual(exited(1));
        return [first, await counted(files)];
      })) ?? [0, 1];
      expect(second).toBe(first as number);
      await late;
      expect(await states()).toMatch(/^T[RSD]$/);
      await until(async () => (await counted(sandbox)) > (second as number), { what: "the other command goes on" });
      // Its terminal goes on too: everything written is shown.
      for (
        let seen = 0;
        seen < (second as number) + 10;
        seen += Buffer.from((await shown.next()).value.bytes).length / 3
      );
      await stopped.signal("SIGCONT");
      expect(await stopped.exit).toEqual(exited(0));
    } finally {
      await sandbox.terminate();
    }
  });

  test("may stop and continue a command, whose end is still reported", async () => {
    const sandbox = await provider.create(localSpec());
    try {
      const stopped = await sandbox.start({ argv: ["sh", "-c", "kill -STOP $$; exit 3"] });
      const woken = sh(
        sandbox,
        `until grep -q "^State:.T" /proc/${stopped.id}/status; do :; done; kill -CONT ${stopped.id}`,
      );
      expect((await woken).exit).toEqual(exited(0));
      expect(await stopped.exit).toEqual(exited(3));
    } finally {
      await sandbox.terminate();
    }
  });

  test("cannot block a reader with files that never end, nor an unread command that writes without end", async () => {
    const sandbox = await provider.create(localSpec());
    try {
      await sh(sandbox, "mkfifo fifo; ln -s /proc/self/fd/0 input; ln -s /dev/tty terminal; ln -s /dev/zero zeros");
      for (const path of ["fifo", "input", "terminal", "zeros", "/proc/self/fd/0", "/dev/tty"])
        await expect(sandbox.readFile(path, RANGE)).rejects.toMatchObject({ name: "FileError" });
      for (const path of ["fifo", "terminal"])
        await expect(sandbox.writeFile(path, Buffer.from("x"))).rejects.toMatchObject({ name: "FileError" });
      const flood = await sandbox.start({ argv: ["sh", "-c", "trap '' TERM; while :; do yes; done"], keepLog: true });
      await flood.signal("SIGKILL");
      expect(await flood.exit).toEqual({ kind: "signalled", signal: "SIGKILL" });
    } finally {
      await sandbox.terminate();
    }
  });

  test("cannot make ending its sandbox wait for a command whose start it blocks", async () => {
    const { sandbox } = await beset(HOSTILE["stops every process it sees"] as string);
    try {
      const asked = Array.from({ length: 3 }, () =>
        sandbox.start({ argv: ["true"] }).then(
          ({ exit }) => exit.then(() => "sandbox_lost"), // one of them may start
          ({ code }) => code,
        ),
      );
      await pause(200);
      await sandbox.terminate();
      expect(await Promise.all(asked)).toEqual(Array(3).fill("sandbox_lost"));
    } finally {
      await sandbox.terminate();
    }
  });

  for (const user of USERS.filter(({ become }) => become.length > 0)) {
    test.skipIf(user.why !== null)(
      `is stopped the same way when the host process belongs to ${user.name}${user.why ? ` (skipped: ${user.why})` : ""}`,
      async () => {
        const [command, ...args] = [...user.become, ...bunTest(import.meta.path)];
        const child = spawn(command as string, args, { cwd: ROOT, stdio: ["ignore", "ignore", "pipe"] });
        let said = "";
        child.stderr.on("data", (bytes) => (said += String(bytes)));
        const code = await new Promise((resolve) => child.once("exit", resolve));
        expect({ code, said: code === 0 ? "" : said }).toEqual({ code: 0, said: "" });
        expect(said).toMatch(/1[1-9] pass/);
      },
      2 * TEST_LIMIT_MS, // all the tests of this file
    );
  }
});
