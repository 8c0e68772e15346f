import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();
// The host's tools, lent read-only: gigabytes without secrets.
const LENT = "--exclude-dir=toolchains --exclude-dir=versions --exclude-dir=node_modules";
const CANARY = `canary-${crypto.randomUUID()}`;

describe.skipIf(why !== null)(`a job that attacks its local sandbox${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  const hostDir = newRoot();
  const homeCanary = join(homedir(), `.opa-${CANARY}`);
  let provider: SandboxProvider;
  let sandbox: Sandbox;
  const fails = async (command: string) => {
    const { exit, stdout } = await sh(sandbox, command);
    expect(stdout).not.toContain(CANARY);
    expect(exit).not.toEqual(exited(0));
  };

  beforeAll(async () => {
    writeFileSync(join(hostDir, "canary"), CANARY);
    writeFileSync(homeCanary, CANARY);
    provider = localProvider(rootDir);
    sandbox = await provider.create(localSpec());
  });
  afterAll(async () => {
    await sandbox.terminate();
    await provider.close();
    rmSync(homeCanary, { force: true });
    expect(await leftOf(rootDir)).toEqual([]);
    rmSync(rootDir, { recursive: true, force: true });
    rmSync(hostDir, { recursive: true, force: true });
  });
  // The sandbox must stay usable, because every refusal below would also be true of a sandbox that has ended.
  afterEach(async () => expect((await sh(sandbox, "echo alive")).stdout).toBe("alive\n"));

  test("finds no file of the host: home, state directory, temporary files, shadow, sockets", async () => {
    expect(readFileSync(homeCanary, "utf8")).toBe(CANARY); // the host can read it
    for (const path of [
      homeCanary,
      join(hostDir, "canary"),
      join(rootDir, "sandboxes", sandbox.id, "meta.json"),
      "/etc/shadow",
      "/etc/ssl/private",
      "/var/log",
      "/var/run/docker.sock",
      "/run/dbus",
      "/sys/kernel",
      "/boot",
    ]) {
      await fails(`test -e '${path}'`);
    }
    expect(
      (
        await sh(
          sandbox,
          `grep -rl ${CANARY} / --exclude-dir=proc ${LENT} --exclude-dir=usr --exclude-dir=sys 2>/dev/null | head -3`,
        )
      ).stdout,
    ).toBe("");
  });

  test("sees no process of the host and no environment of it", async () => {
    const host = spawn("sleep", ["1002"], { env: { SECRET: CANARY }, stdio: "ignore" });
    try {
      const environ = () => readFileSync(`/proc/${host.pid}/environ`, "utf8");
      for (let attempt = 0; attempt < 100 && environ() === ""; attempt += 1)
        await new Promise((resolve) => setTimeout(resolve, 10));
      expect(environ()).toContain(CANARY);
      const seen = (await sh(sandbox, "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'")).stdout;
      expect(seen).toContain("first process of a sandbox"); // the first process is listed, so other processes would be too
      for (const secret of [CANARY, rootDir, hostDir, "OPENCODE"]) expect(seen).not.toContain(secret);
      const { stdout } = await sh(sandbox, "ls -d /proc/[0-9]* | wc -l");
      expect(Number(stdout)).toBeLessThan(10);
      await sh(sandbox, `kill -9 ${host.pid}; kill -9 -${process.pid}; kill -9 ${process.pid}; kill -9 -1`);
      expect(host.exitCode ?? host.signalCode).toBeNull();
    } finally {
      host.kill("SIGKILL");
    }
  });

  test("inherits no descriptor and has no privilege", async () => {
    const { stdout } = await sh(
      sandbox,
      "ls /proc/self/fd | tr '\\n' ' '; ls /proc/1/fd | tr '\\n' ' '; grep -E '^(CapEff|CapPrm|CapAmb|NoNewPrivs)' /proc/self/status | tr '\\n\\t' '  '",
    );
    // Descriptor 3 of `ls` is the directory it reads.
    expect(stdout).toMatch(/^0 1 2 3 0 2 CapPrm: 0+ CapEff: 0+ CapAmb: 0+ NoNewPrivs: 1 $/);
    await fails("ls /proc/1/root/home/*/.ssh || ls /proc/1/cwd/../../root/.ssh");
  });

  test("cannot change its surroundings: mounts, kernel settings, system files, user namespaces, setuid", async () => {
    await fails("mount -t tmpfs none /mnt");
    await fails("mount -o remount,rw,bind /usr");
    await fails("umount /run/logs || umount /proc/sys");
    await fails("echo x > /usr/bin/owned || echo x > /etc/owned || echo x > /owned || echo x > /dev/owned");
    // Harmless settings, and the one that would make the kernel run the job's program as the host's root.
    for (const setting of ["kernel/core_pattern", "kernel/panic_on_oops", "vm/swappiness"]) {
      await fails(`: 4<> /proc/sys/${setting}`); // only opened, so that nothing is written if it succeeds
    }
    await fails(
      "find /proc -maxdepth 2 -not -path '/proc/[0-9]*' -type f -writable 2>/dev/null | grep . | while read -r f; do (: >> $f) 2>/dev/null && echo $f; done | grep .",
    );
    for (const device of ["null", "zero", "tty"]) await fails(`chmod 666 /dev/${device}`);
    await fails("test -s /proc/kpagecount && head -c 8 /proc/kpagecount | grep -q .");
    expect((await sh(sandbox, "echo x > /dev/null && head -c 3 /dev/urandom | wc -c")).stdout).toBe("3\n");
    await fails("echo h > /proc/sysrq-trigger");
    await fails("unshare -U true");
    await fails("chroot /tmp true");
    expect((await sh(sandbox, "cp /usr/bin/id ./id; chmod u+s id; ./id -u")).stdout).toBe("1000\n");
    expect((await sh(sandbox, "test -u /usr/bin/su && su -c id root </dev/null")).exit).not.toEqual(exited(0));
  });

  test("cannot leave through paths or links, neither in file operations nor in its shell", async () => {
    const depth = "../".repeat(20);
    await sh(sandbox, `ln -s ${hostDir}/canary link; ln -s / root; ln -s ${homedir()} home`);
    const range = { offset: 0, maxBytes: 100 };
    for (const path of [
      "link",
      `root/${hostDir}/canary`,
      `${depth}${hostDir}/canary`,
      `home/.opa-${CANARY}`,
      "root/etc/shadow",
      `/proc/self/root/${hostDir}/canary`,
    ]) {
      await expect(sandbox.readFile(path, range)).rejects.toMatchObject({ name: "FileError" });
    }
    await sandbox.writeFile("link", Buffer.from("owned")).catch(() => {});
    await sandbox.writeFile(`${depth}${hostDir}/new`, Buffer.from("owned")).catch(() => {});
    await sandbox.writeFile(`home/.opa-${CANARY}`, Buffer.from("owned")).catch(() => {});
    expect(readFileSync(join(hostDir, "canary"), "utf8")).toBe(CANARY);
    expect(readFileSync(homeCanary, "utf8")).toBe(CANARY);
    expect(existsSync(join(hostDir, "new"))).toBe(false);
    await expect(sandbox.readFile("x\0y", range)).rejects.toThrow();
  });

  test("cannot touch another sandbox", async () => {
    const other = await provider.create(localSpec());
    try {
      await other.writeFile("secret", Buffer.from(CANARY));
      await sh(other, `echo ${CANARY} > /tmp/secret; echo ${CANARY} > ~/secret; (sleep 1003 &)`);
      expect(
        (
          await sh(
            sandbox,
            `grep -r ${CANARY} /workspace /tmp /home 2>/dev/null; cat /proc/[0-9]*/cmdline | tr '\\0' ' '`,
          )
        ).stdout,
      ).not.toContain("sleep 1003");
      await fails(`cat ${rootDir}/sandboxes/${other.id}/workspace/secret`);
    } finally {
      await other.terminate();
    }
  });

  test("cannot write to its logs, nor redirect the host's writes to a file of the host", async () => {
    const child = await sandbox.start({
      argv: ["sh", "-c", `rm -f /run/logs/*; ln -s ${hostDir}/canary /run/logs/9.log; mv /run/logs /run/l; echo said`],
      keepLog: true,
    });
    for await (const _ of child.output);
    expect(
      Buffer.from(await sandbox.readFile(child.logPath ?? "", { offset: 0, maxBytes: 99_999 })).toString(),
    ).toContain("said");
    await fails("echo x >> /run/logs/1.log");
    expect(readFileSync(join(hostDir, "canary"), "utf8")).toBe(CANARY);
  });

  test("cannot make the host preload its library", async () => {
    const { stdout } = await sh(sandbox, "echo ok", {
      env: { LD_PRELOAD: `${hostDir}/evil.so`, BASH_ENV: "/workspace/evil", ENV: "/workspace/evil" },
    });
    expect(stdout).toBe("ok\n");
  });
});
