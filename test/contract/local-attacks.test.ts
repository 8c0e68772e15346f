import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type ListenOptions, type Server } from "node:net";
import { homedir, networkInterfaces } from "node:os";
import { join } from "node:path";
import { chooseNetworkTool } from "../../src/sandboxes/local/bubblewrap/network.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import {
  childrenOf,
  descendants,
  leftOf,
  localProvider,
  localSpec,
  newRoot,
  startTimeOf,
  whyNoIsolation,
} from "./local-support.ts";
import { exited, sh } from "./sandbox-provider.contract.ts";

const why = await whyNoIsolation();
const TIMEOUT = 60_000;
const findNetworkHelper =
  typeof chooseNetworkTool() !== "string" && Bun.spawnSync(["sh", "-c", "exec 3<>/dev/net/tun"]).exitCode === 0;
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
  }, TIMEOUT);
  afterAll(async () => {
    await sandbox.terminate();
    await provider.close();
    rmSync(homeCanary, { force: true });
    expect(await leftOf(rootDir)).toEqual([]);
    rmSync(rootDir, { recursive: true, force: true });
    rmSync(hostDir, { recursive: true, force: true });
  }, TIMEOUT);
  // Each test but those that kill it leaves the sandbox usable: walls that fell would make every refusal below true.
  afterEach(async () => expect((await sh(sandbox, "echo alive")).stdout).toBe("alive\n"), TIMEOUT);

  test(
    "finds no file of the host: home, state directory, temporary files, shadow, sockets",
    async () => {
      expect(readFileSync(homeCanary, "utf8")).toBe(CANARY); // It is there for the host.
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
            `grep -rl ${CANARY} / --exclude-dir=proc --exclude-dir=usr --exclude-dir=sys 2>/dev/null | head -3`,
          )
        ).stdout,
      ).toBe("");
    },
    TIMEOUT,
  );

  test(
    "sees no process of the host and no environment of it",
    async () => {
      const host = spawn("sleep", ["1002"], { env: { SECRET: CANARY }, stdio: "ignore" });
      try {
        const environ = () => readFileSync(`/proc/${host.pid}/environ`, "utf8");
        for (let attempt = 0; attempt < 100 && environ() === ""; attempt += 1)
          await new Promise((resolve) => setTimeout(resolve, 10));
        expect(environ()).toContain(CANARY);
        const seen = (await sh(sandbox, "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline | tr '\\0' '\\n'")).stdout;
        expect(seen).toContain("while :; do read"); // The first process is in it, and so would be others.
        for (const secret of [CANARY, rootDir, hostDir, "OPENCODE"]) expect(seen).not.toContain(secret);
        const { stdout } = await sh(sandbox, "ls -d /proc/[0-9]* | wc -l");
        expect(Number(stdout)).toBeLessThan(10);
        await sh(sandbox, `kill -9 ${host.pid}; kill -9 -${process.pid}; kill -9 ${process.pid}; kill -9 -1`);
        expect(host.exitCode ?? host.signalCode).toBeNull();
      } finally {
        host.kill("SIGKILL");
      }
    },
    TIMEOUT,
  );

  test(
    "inherits no descriptor and holds no privilege",
    async () => {
      const { stdout } = await sh(
        sandbox,
        "ls /proc/self/fd | tr '\\n' ' '; ls /proc/1/fd | tr '\\n' ' '; grep -E '^(CapEff|CapPrm|CapAmb|NoNewPrivs)' /proc/self/status | tr '\\n\\t' '  '",
      );
      expect(stdout).toMatch(/^0 1 2 3 0 (10 )?2 3 CapPrm: 0+ CapEff: 0+ CapAmb: 0+ NoNewPrivs: 1 $/);
      // 3 of the first process is its own fifo, 3 of `ls` the directory it reads; neither leads to the host.
      expect((await sh(sandbox, "readlink /proc/1/fd/3")).stdout).toContain("/dev/shm/");
      await fails("ls /proc/1/root/home/*/.ssh || ls /proc/1/cwd/../../root/.ssh");
    },
    TIMEOUT,
  );

  test(
    "cannot change what it runs on: mounts, kernel settings, system files, user namespaces, setuid",
    async () => {
      await fails("mount -t tmpfs none /mnt");
      await fails("mount -o remount,rw,bind /usr");
      await fails("umount /run/logs || umount /proc/sys");
      await fails("echo x > /usr/bin/owned || echo x > /etc/owned || echo x > /owned || echo x > /dev/owned");
      // A setting nobody minds, and the one that would run a program of the job's as the host's root.
      for (const setting of ["kernel/core_pattern", "kernel/panic_on_oops", "vm/swappiness"]) {
        const before = readFileSync(`/proc/sys/${setting}`, "utf8");
        await fails(`printf '%s' '${before.trim()}' > /proc/sys/${setting}`);
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
    },
    TIMEOUT,
  );

  test(
    "cannot leave by paths or links, in file operations or by its shell",
    async () => {
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
    },
    TIMEOUT,
  );

  test(
    "cannot touch another sandbox",
    async () => {
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
    },
    TIMEOUT,
  );

  test(
    "cannot write its logs, or lead the host's writes to a file of the host",
    async () => {
      const child = await sandbox.start({
        argv: [
          "sh",
          "-c",
          `rm -f /run/logs/*; ln -s ${hostDir}/canary /run/logs/9.log; mv /run/logs /run/l; echo said`,
        ],
        keepLog: true,
      });
      for await (const _ of child.output);
      expect(
        Buffer.from(await sandbox.readFile(child.logPath ?? "", { offset: 0, maxBytes: 99_999 })).toString(),
      ).toContain("said");
      await fails("echo x >> /run/logs/1.log");
      expect(readFileSync(join(hostDir, "canary"), "utf8")).toBe(CANARY);
    },
    TIMEOUT,
  );

  test(
    "cannot have the host preload its library",
    async () => {
      const { stdout } = await sh(sandbox, "echo ok", {
        env: { LD_PRELOAD: `${hostDir}/evil.so`, BASH_ENV: "/workspace/evil", ENV: "/workspace/evil" },
      });
      expect(stdout).toBe("ok\n");
    },
    TIMEOUT,
  );

  describe("on the network", () => {
    const servers: Server[] = [];
    const hosts = Object.values(networkInterfaces())
      .flat()
      .filter((each) => each && !each.internal && each.family === "IPv4")
      .map((each) => each?.address as string);
    const python = (expression: string) =>
      `python3 -c "import socket; s=${expression}; s.settimeout(2); print('REACHED')"`;
    const connect = (host: string, port: number) => python(`socket.create_connection(('${host}', ${port}), 2)`);
    const serve = (listen: ListenOptions) =>
      new Promise<number>((resolve) => {
        const server = createServer((socket) => socket.end(CANARY));
        servers.push(server);
        server.listen(listen, () => resolve((server.address() as { port?: number }).port ?? 0));
      });
    afterAll(() => {
      for (const server of servers) server.close();
    });

    for (const network of ["blocked", "open"] as const) {
      test(
        `reaches no server of the host when the network is ${network}`,
        async () => {
          const loopback = await serve({ host: "127.0.0.1", port: 0 });
          const any = await serve({ host: "0.0.0.0", port: 0 });
          await serve({ path: join(hostDir, `${network}.sock`) });
          await serve({ path: `\0${CANARY}${network}` });
          const other = await provider.create(localSpec({ network }));
          try {
            const targets = [
              ["127.0.0.1", loopback],
              ["127.0.0.1", any],
              ["localhost", any],
              ["10.0.2.2", loopback],
              ["10.0.2.2", any],
              ["10.0.2.3", any],
              ["0.0.0.0", any],
              ["169.254.169.254", 80],
              ...hosts.map((host) => [host, any]),
            ] as [string, number][];
            for (const host of ["127.0.0.1", ...hosts]) {
              // The host itself reaches it: what follows is the sandbox's doing.
              const probe = spawn(
                "python3",
                ["-c", `import socket; socket.create_connection(('${host}', ${any}), 2)`],
                { stdio: "ignore" },
              );
              expect(await new Promise<number | null>((resolve) => probe.once("exit", (code) => resolve(code)))).toBe(
                0,
              );
            }
            for (const [host, port] of targets)
              expect((await sh(other, connect(host, port))).stdout).not.toContain("REACHED");
            const unix = (address: string) =>
              `python3 -c "import socket; s=socket.socket(socket.AF_UNIX); s.connect(${address}); print('REACHED')"`;
            expect((await sh(other, unix(`'${hostDir}/${network}.sock'`))).stdout).not.toContain("REACHED");
            expect((await sh(other, unix(`'\\\\0${CANARY}${network}'`))).stdout).not.toContain("REACHED");
            // Its own loopback works, and so the means of this test do.
            const own =
              "python3 -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1 & for i in $(seq 50); do sleep 0.1; ";
            expect(
              (await sh(other, `${own} ${connect("127.0.0.1", 8123)} 2>/dev/null && break; done`)).stdout,
            ).toContain("REACHED");
            if (network === "open")
              expect(
                other.notes.join() || (await sh(other, "ip route show default || cat /proc/net/route")).stdout,
              ).toMatch(/default|No network/);
            if (network === "open" && other.notes.length === 0)
              await sh(other, "ip route del unreachable 192.0.2.2; ip link set tap0 down").then(({ exit }) =>
                expect(exit).not.toEqual(exited(0)),
              );
          } finally {
            await other.terminate();
          }
        },
        TIMEOUT,
      );
    }
  });

  describe("on the machine's resources", () => {
    const small = (limits: Parameters<typeof localProvider>[1]) => localProvider(rootDir, limits);

    test(
      "a fork bomb stays within its number of processes",
      async () => {
        const bounded = small({ limits: { processes: 40 } });
        const other = await bounded.create(localSpec());
        try {
          if (other.notes.some((note) => note.includes("not limited")))
            return expect(other.notes.length).toBeGreaterThan(0);
          const bomb = await other.start({
            argv: [
              "sh",
              "-c",
              "b() { b | b & }; b; i=0; while [ $i -lt 2000 ]; do sleep 1004 & i=$((i+1)); done; sleep 2",
            ],
          });
          await new Promise((resolve) => setTimeout(resolve, 1500));
          const count = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).length;
          expect(count).toBeLessThan(2000);
          await bomb.signal("SIGKILL");
          expect((await bomb.exit).kind).not.toBe("unknown");
        } finally {
          await other.terminate();
          await bounded.close();
        }
      },
      TIMEOUT,
    );

    test(
      "a memory hog is ended and its sandbox lives",
      async () => {
        const other = await provider.create(localSpec({ memoryMiB: 256 }));
        try {
          const hog = (MiB: number) => sh(other, `python3 -c "x=bytearray(${MiB}*1024*1024); print('HELD', len(x))"`);
          expect((await hog(50)).stdout).toContain("HELD");
          expect((await hog(600)).stdout).not.toContain("HELD");
          expect((await sh(other, "head -c 600000000 /dev/zero > /dev/shm/x && echo HELD")).stdout).not.toContain(
            "HELD",
          );
          expect((await sh(other, "rm -f /dev/shm/x; echo alive")).stdout).toBe("alive\n");
        } finally {
          await other.terminate();
        }
      },
      TIMEOUT,
    );

    test(
      "a disk filler loses its sandbox, with a reason",
      async () => {
        const bounded = small({ limits: { diskMiB: 64 } });
        const other = await bounded.create(localSpec());
        try {
          // One file is cut at the limit; many files are counted.
          expect((await sh(other, "head -c 100000000 /dev/zero > one; stat -c %s one")).stdout.trim()).toBe(
            String(64 * 1024 * 1024),
          );
          await other.start({
            argv: ["sh", "-c", "i=0; while :; do i=$((i+1)); head -c 10000000 /dev/zero > ~/f$i; sleep 0.05; done"],
          });
          expect(await other.ended).toMatchObject({
            code: "sandbox_lost",
            message: expect.stringContaining("limit of 64 MiB"),
          });
          await expect(other.start({ argv: ["true"] })).rejects.toMatchObject({ code: "sandbox_lost" });
        } finally {
          await other.terminate();
          await bounded.close();
        }
      },
      TIMEOUT,
    );
  });

  test(
    "cannot have the host's files copied by swapping a directory for a link during a snapshot",
    async () => {
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
    },
    TIMEOUT,
  );

  test(
    "cannot keep its files from being removed, nor have others removed by a link",
    async () => {
      const other = await provider.create(localSpec());
      await sh(other, `mkdir -p a/b; echo x > a/b/c; chmod 000 a/b a; ln -s ${hostDir} out; ln -s ${hostDir} ~/out`);
      await other.terminate();
      expect(existsSync(join(rootDir, "sandboxes", other.id))).toBe(false);
      expect(readFileSync(join(hostDir, "canary"), "utf8")).toBe(CANARY);
    },
    TIMEOUT,
  );

  test(
    "when its walls have fallen, nothing is run on the host in its place",
    async () => {
      const before = childrenOf(process.pid);
      const other = await provider.create(localSpec());
      const walls = Number.parseInt(
        childrenOf(process.pid).find((each) => each.includes("bwrap") && !before.includes(each)) ?? "",
        10,
      );
      expect(walls).toBeGreaterThan(1);
      const marker = join(hostDir, "ran-on-host");
      process.kill(walls, "SIGKILL");
      // Both at once, when the end is not known here yet, and afterwards.
      const early = await other.start({ argv: ["touch", marker] }).then(
        () => null,
        (error) => error,
      );
      expect(await other.ended).toMatchObject({ code: "sandbox_lost" });
      if (early) expect(early).toMatchObject({ code: "sandbox_lost" });
      await expect(other.start({ argv: ["touch", marker] })).rejects.toMatchObject({ code: "sandbox_lost" });
      await expect(other.writeFile(marker, Buffer.from("x"))).rejects.toMatchObject({ code: "sandbox_lost" });
      expect(existsSync(marker)).toBe(false);
      // Its files are still there, and new walls can be raised around them.
      expect((await sh(await provider.attach(other.id, {}), "echo back")).stdout).toBe("back\n");
      await provider.terminate(other.id);
    },
    TIMEOUT,
  );

  for (const [runtime, program] of [
    ["Bun", "bun"],
    ["Node", "node"],
  ] as const) {
    test(
      `everything dies with a killed ${runtime} process: commands, walls and network helper`,
      async () => {
        const root = newRoot();
        const host = spawn(
          join(import.meta.dir, "../../node_modules/.bin", program),
          [join(import.meta.dir, "local-host-main.ts"), root],
          { stdio: ["ignore", "pipe", "inherit"] },
        );
        const said = await new Promise<string>((resolve) =>
          host.stdout.once("data", (bytes) => resolve(String(bytes))),
        );
        let all = descendants(host.pid as number);
        for (
          let attempt = 0;
          attempt < 100 && all.filter(({ command }) => /^sleep 7/.test(command)).length < 2;
          attempt += 1
        ) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          all = descendants(host.pid as number);
        }
        expect(all.filter(({ command }) => /bwrap/.test(command)).length).toBe(1);
        expect(all.filter(({ command }) => /^sleep 7/.test(command)).length).toBe(2);
        if (findNetworkHelper) expect(all.some(({ command }) => /^\S*(slirp4netns|pasta)/.test(command))).toBe(true);
        host.kill("SIGKILL");
        const alive = () => all.filter(({ pid, startedAt }) => startTimeOf(pid) === startedAt);
        for (let attempt = 0; attempt < 100 && alive().length > 0; attempt += 1)
          await new Promise((resolve) => setTimeout(resolve, 50));
        expect(alive()).toEqual([]);
        // What is left on disk is found and can be ended by the next process.
        const next = localProvider(root);
        const { id } = JSON.parse(said);
        expect((await next.list()).map((each) => each.id)).toEqual([id]);
        await next.terminate(id);
        await next.close();
        expect(await next.list()).toEqual([]);
        rmSync(root, { recursive: true, force: true });
      },
      TIMEOUT,
    );
  }
});
