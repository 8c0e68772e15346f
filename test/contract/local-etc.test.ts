import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { localProvider, localSpec, newRoot, whyNoIsolation } from "./local-support.ts";
import { sh } from "./sandbox-shell.ts";

const why = await whyNoIsolation();

describe.skipIf(why !== null)(`a local sandbox's /etc${why ? ` (skipped: ${why})` : ""}`, () => {
  const rootDir = newRoot();
  const provider = localProvider(rootDir);
  afterAll(async () => {
    await provider.close();
    rmSync(rootDir, { recursive: true, force: true });
  });

  test("has files of ours in place of some, the host's that programs need, and no others", async () => {
    const sandbox = await provider.create(localSpec());
    const said = async (command: string) => (await sh(sandbox, command)).stdout;
    expect(await said("cat /etc/passwd")).toContain("agent:x:1000:1000");
    expect(await said("sha256sum < /etc/ld.so.cache")).toBe(digest("/etc/ld.so.cache"));
    expect(await said("cat /etc/hosts")).toContain("sandbox");
    expect(await said("ls -d /etc/shadow /etc/login.defs /etc/ssh 2>/dev/null")).toBe("");
    expect(await said("find -L /etc -maxdepth 1 -type l")).toBe("");
    expect(await said("cat /etc/ssl/openssl.cnf | wc -c")).toBe(`${sizeOf("/etc/ssl/openssl.cnf")}\n`);
    await sandbox.terminate();
  });

  test("tells the name of the host's time zone, and has its settings of the versions that are installed", async () => {
    const sandbox = await provider.create(localSpec());
    const said = async (command: string) => (await sh(sandbox, command)).stdout;
    const zone = spawnSync("readlink", ["/etc/localtime"], { encoding: "utf8" }).stdout;
    if (zone.startsWith("/usr/share/zoneinfo/")) expect(await said("readlink /etc/localtime")).toBe(zone);
    expect(await said("cat /etc/localtime | sha256sum")).toBe(digest("/etc/localtime"));
    const versions = readdirSync("/etc").filter((name) => /^(?:python3(?:\.\d+)?|java-\d+-openjdk)$/.test(name));
    expect((await said("ls /etc | grep -E '^(python3|java-)'; true")).split("\n").filter(Boolean)).toEqual(
      versions.sort(),
    );
    await sandbox.terminate();
  });

  test("has the host's own names and how it looks names up, where the network is open", async () => {
    const lines = (path: string, pattern: RegExp) =>
      readFileSync(path, "utf8")
        .split("\n")
        .filter((line) => pattern.test(line));
    const settings = lines("/etc/resolv.conf", /^(?:search|domain|options)\s/);
    for (const network of ["open", "blocked"] as const) {
      const sandbox = await provider.create(localSpec({ network }));
      const { stdout } = await sh(sandbox, "cat /etc/resolv.conf; echo; cat /etc/hosts");
      for (const line of settings) expect(stdout.includes(`${line}\n`)).toBe(network === "open");
      expect(stdout).toContain("127.0.0.1 localhost sandbox\n");
      expect(stdout).not.toContain(`\t${hostname()}`); // an address of the host
      await sandbox.terminate();
    }
  });

  test("cannot be changed by the job, by its links or where its files lie", async () => {
    const sandbox = await provider.create(localSpec());
    const paths = "/etc/passwd /run/.etc/passwd /etc/hosts";
    const { stdout } = await sh(
      sandbox,
      `for path in ${paths}; do echo x >> $path || chmod 777 $path || rm -f $path || mv $path /etc/x || echo refused; done 2>/dev/null`,
    );
    expect(stdout).toBe("refused\n".repeat(3));
    await sandbox.terminate();
  });
});

const sizeOf = (path: string) => (existsSync(path) ? statSync(path).size : 0);

const digest = (path: string) => `${new Bun.CryptoHasher("sha256").update(readFileSync(path)).digest("hex")}  -\n`;
