import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { createServer, type ListenOptions, type Server } from "node:net";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { SandboxProvider } from "../../src/sandboxes/port.ts";
import { leftOf, localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();
const CANARY = `canary-${crypto.randomUUID()}`;

describe.skipIf(why !== null)(
  `a job that attacks the machine around its sandbox${why ? ` (skipped: ${why})` : ""}`,
  () => {
    const rootDir = newRoot();
    const hostDir = newRoot();
    let provider: SandboxProvider;
    beforeAll(() => {
      provider = localProvider(rootDir);
    });
    afterAll(async () => {
      await provider.close();
      expect(await leftOf(rootDir)).toEqual([]);
      for (const each of [rootDir, hostDir]) rmSync(each, { recursive: true, force: true });
    });

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
        test(`reaches no server of the host when the network is ${network}`, async () => {
          const loopback = await serve({ host: "127.0.0.1", port: 0 });
          const any = await serve({ host: "0.0.0.0", port: 0 });
          await serve({ path: join(hostDir, `${network}.sock`) });
          await serve({ path: `\0${CANARY}${network}` });
          const other = await provider.create(localSpec({ network }));
          try {
            const { stdout: route } = await sh(other, "ip -4 route show default");
            const gateway = /via ([\d.]+)/.exec(route)?.[1] ?? "198.18.244.2";
            const targets = [
              ["127.0.0.1", loopback],
              ["127.0.0.1", any],
              ["localhost", any],
              [gateway, loopback],
              [gateway, any],
              [gateway.replace(/\d+$/, "3"), any],
              ["0.0.0.0", any],
              ["169.254.169.254", 80],
              ...hosts.map((host) => [host, any]),
            ] as [string, number][];
            for (const host of ["127.0.0.1", ...hosts]) {
              // The host itself reaches the server, so a failure below is the sandbox's doing.
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
            // The sandbox's own loopback works, which shows that the probe works.
            const own =
              "python3 -m http.server 8123 --bind 127.0.0.1 >/dev/null 2>&1 & for i in $(seq 50); do sleep 0.1; ";
            expect(
              (await sh(other, `${own} ${connect("127.0.0.1", 8123)} 2>/dev/null && break; done`)).stdout,
            ).toContain("REACHED");
            // Other notes are about limits that nothing enforces on this machine.
            const offline = other.notes.filter((note) => /^(No network|Names cannot)/.test(note));
            if (network === "open")
              expect(
                offline.join() || (await sh(other, "ip route show default || cat /proc/net/route")).stdout,
              ).toMatch(/default|No network/);
            if (network === "open" && offline.length === 0)
              await sh(other, "ip route del unreachable 192.0.2.2; ip link set tap0 down").then(({ exit }) =>
                expect(exit).not.toEqual(exited(0)),
              );
          } finally {
            await other.terminate();
          }
        });
      }
    });

    describe("on the machine's resources", () => {
      const small = (limits: Parameters<typeof localProvider>[1]) => localProvider(rootDir, limits);

      test("a fork bomb stays within the limit on processes", async () => {
        const bounded = small({ limits: { processes: 40 } });
        const other = await bounded.create(localSpec());
        try {
          if (other.notes.some((note) => note.startsWith("The number of processes is not limited"))) return;
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
      });

      test("a command that uses too much memory is killed, and its sandbox lives", async () => {
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
      });

      test("a job that fills the disk loses its sandbox, and the reason is given", async () => {
        const bounded = small({ limits: { diskMiB: 64 } });
        const other = await bounded.create(localSpec());
        try {
          // The size of one file is limited by the kernel; many files are counted by the disk watch.
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
      });
    });
  },
);
