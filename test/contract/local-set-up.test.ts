import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisProcessor } from "../../src/sandboxes/local/bubblewrap/call-filter/filter-program.ts";
import { programLaunchers, shellLaunchers } from "../../src/sandboxes/local/bubblewrap/launchers.ts";
import { Namespaces } from "../../src/sandboxes/local/bubblewrap/namespaces.ts";
import { SetUpError, setUp } from "../../src/sandboxes/local/bubblewrap/set-up.ts";
import { findTool } from "../../src/sandboxes/local/host-tools.ts";
import { systemClock } from "../../src/shared/clock.ts";
import { canIsolate } from "../support/modal-server/machine.ts";
import { until } from "../support/wait.ts";

/*
 * What happens when a step of setting a sandbox up fails. In these namespaces the devices are no mounts of their own, so
 * making them read-only fails.
 */

const [nsenter, ip] = [findTool("nsenter"), findTool("ip")];
const canTry = canIsolate() && nsenter !== null && ip !== null && existsSync("/usr/bin/unshare");
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill("SIGKILL");
});

/** The namespaces of a process that does nothing. */
async function emptyNamespaces(): Promise<Namespaces> {
  const child = spawn("unshare", ["-U", "-r", "-m", "-n", "-i", "-u", "-p", "-f", "--kill-child", "sleep", "60"]);
  started.push(child);
  const pid = await until(
    () => {
      const first = Number(execFileSync("ps", ["-o", "pid=", "--ppid", String(child.pid)], { encoding: "utf8" }));
      return readlinkSync(`/proc/${first}/exe`).endsWith("/sleep") ? first : null;
    },
    { what: "the namespaces are there" },
  );
  const numberOf = (kind: string) => Number(/\d+/.exec(readlinkSync(`/proc/${pid}/ns/${kind}`))?.[0]);
  return Namespaces.of(
    pid,
    Object.fromEntries(["mnt", "pid", "net"].map((kind) => [`${kind}-namespace`, numberOf(kind)])),
  );
}

const root = mkdtempSync(join(tmpdir(), "opa-test-set-up-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** Who limits the user. */
const LIMITERS = {
  "a program of our own": () =>
    programLaunchers(root, thisProcessor() as NonNullable<ReturnType<typeof thisProcessor>>),
  "a shell": () => shellLaunchers(""),
};

const network = (rules: string, ...argv: string[]) => ({
  ip: ip ?? "",
  rules,
  helper: { argv, isSelfGuarding: false },
});
const selfGuarding = (...argv: string[]) => ({ ip: ip ?? "", rules: "", helper: { argv, isSelfGuarding: true } });
/** Gives the namespace at descriptor 9 a default route, as a helper does, and stays. */
const HELPER = `nsenter --net=/proc/self/fd/9 --user=/proc/self/fd/8 --preserve-credentials sh -c '
ip link set lo up && ip route add default dev lo'
exec sleep 61`;

const helpers = () =>
  execFileSync("ps", ["-eo", "args"], { encoding: "utf8" })
    .split("\n")
    .filter((one) => one === "sleep 61");

for (const [by, launchers] of Object.entries(LIMITERS))
  describe.skipIf(!canTry)(`setting a sandbox up, with limits that are set by ${by},`, () => {
    async function plan(userLimits: string[] = []) {
      const namespaces = await emptyNamespaces();
      const limiter = launchers().limiter(userLimits);
      return { namespaces, nsenter: nsenter ?? "", userLimits, limiter, clock: systemClock };
    }

    /** What a command says in the namespaces. */
    const inside = ({ namespaces }: Awaited<ReturnType<typeof plan>>, ...argv: string[]) =>
      execFileSync(nsenter ?? "", ["--preserve-credentials", ...namespaces.enterArgs(["user", "net"]), "--", ...argv], {
        encoding: "utf8",
      });

    test.each([
      ["and without a network", null],
      ["and with one", network("route add blackhole 192.0.2.1/32\n", "/bin/sh", "-c", HELPER)],
    ])("limits its user %s", async (_, net) => {
      const limited = await plan(["max_inotify_instances", "5"]);
      const { unlimited, stop } = await setUp(limited, net);
      expect(unlimited).toBeNull();
      expect(inside(limited, "cat", "/proc/sys/user/max_inotify_instances")).toBe("5\n");
      if (net) expect(inside(limited, ip ?? "", "route")).toContain("blackhole 192.0.2.1");
      stop();
    });

    test("starts no helper where the host's addresses cannot be blocked", async () => {
      const marked = network("no such command\n", "/bin/sh", "-c", "echo started >&2; exec sleep 61");
      const failed = setUp(await plan(), marked);
      await expect(failed).rejects.toBeInstanceOf(SetUpError);
      await expect(failed).rejects.toThrow(/^the host's addresses could not be blocked: (?!.*started)/);
    });

    test("tells that a helper ended at once, so that another one can be tried", async () => {
      const failed = setUp(await plan(), network("", "/bin/sh", "-c", "echo no tun device >&2; exit 3"));
      await expect(failed).rejects.not.toBeInstanceOf(SetUpError);
      await expect(failed).rejects.toThrow("no tun device");
    });

    test("goes on without limits that cannot be set, and ends the helper when the network is stopped", async () => {
      const limited = await plan(["no_such_limit", "5"]);
      const rules = "route add blackhole 192.0.2.1/32\n";
      const { unlimited, stop } = await setUp(limited, network(rules, "/bin/sh", "-c", HELPER));
      expect(unlimited).toContain("no_such_limit");
      expect(inside(limited, ip ?? "", "route")).toContain("blackhole 192.0.2.1");
      const before = helpers().length;
      stop();
      await until(() => helpers().length < before, { what: "the helper has ended" });
    });

    test("is over when a helper that guards itself says so, and ends it when the network is stopped", async () => {
      const limited = await plan(["no_such_limit", "5"]);
      const before = helpers().length;
      const ready = "printf 1 >&5; [ -e /proc/self/fd/9 ] && exec sleep 61";
      const { unlimited, stop } = await setUp(limited, selfGuarding("/bin/sh", "-c", ready));
      expect(unlimited).toContain("no_such_limit");
      await until(() => helpers().length > before, { what: "the helper runs" });
      stop();
      await until(() => helpers().length === before, { what: "the helper has ended" });
    });

    test.each([
      ["that guards itself", selfGuarding],
      ["that is guarded", (...argv: string[]) => network("", ...argv)],
    ])("gives a helper up %s and does not come up in time", async (_, networkOf) => {
      const before = helpers().length;
      const clock = { ...systemClock, after: (_: number, callback: () => void) => systemClock.after(500, callback) };
      const failed = setUp({ ...(await plan()), clock }, networkOf("/bin/sh", "-c", "echo slow >&2; exec sleep 61"));
      await expect(failed).rejects.not.toBeInstanceOf(SetUpError);
      await expect(failed).rejects.toThrow("slow");
      await until(() => helpers().length === before, { what: "the helper has ended" });
    });
  });
