import { afterAll, describe, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { thisProcessor } from "../../../../src/sandboxes/local/bubblewrap/call-filter/filter-program.ts";
import {
  chooseLaunchers,
  type HostLaunch,
  type Launchers,
  programLaunchers,
  shellLaunchers,
} from "../../../../src/sandboxes/local/bubblewrap/launchers.ts";
import { isProcessDead } from "../../../../src/shared/is-process-dead.ts";
import { until } from "../../../support/wait.ts";

const SHOW = 'for f in /proc/self/fd/*; do [ -e "$f" ] && echo "${f##*/}"; done; printf "[%s]" "$@"';
const root = mkdtempSync(join(tmpdir(), "opa-test-launchers-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const processor = thisProcessor();

const KINDS: [name: string, launchers: Launchers][] =
  process.platform === "linux" && processor !== null
    ? [
        ["programs of our own", programLaunchers(root, processor)],
        ["the shell", shellLaunchers("/usr/bin/setpriv")],
      ]
    : [];

/** Runs it with descriptors that a host process leaked, and behind descriptor `own` its files. */
function run({ file, args, opens }: HostLaunch, own: number, leaked: readonly number[], input = "") {
  const isTaken = (at: number) => at <= own + opens.length;
  const opened = [
    ...Array.from({ length: own - 2 }, (_, at) => `${at + 3}</dev/zero`),
    ...opens.map((path, at) => `${own + 1 + at}>"${path}"`),
    ...leaked.filter((at) => !isTaken(at)).map((at) => `${at}</dev/zero`),
  ];
  const words = ["-c", `exec ${opened.join(" ")}; exec "$@"`, "leak", file, ...args];
  const { stdout, stderr, status } = spawnSync("bash", words, { encoding: "utf8", input });
  return { stdout, stderr, status };
}

for (const [kind, launchers] of KINDS)
  describe(`what is started on the host for a sandbox by ${kind}`, () => {
    test.each([
      ["none", []],
      ["some that a plain shell can name", [4, 7, 9]],
      ["some that it cannot", [5, 10, 63, 200]],
    ])("gets its own descriptors and none of those that the host process leaked: %s", (_, leaked) => {
      const show = (own: number) => ["/bin/sh", "-c", `${SHOW}; true`, "show", "a  b", "--", `$${own}`];
      const said = (last: number, own: number) => ({
        stdout: `${[...Array(last + 1).keys()].join("\n")}\n[a  b][--][$${own}]`,
        ...{ stderr: "", status: 0 },
      });
      expect(run(launchers.command(show(3), []), 3, leaked)).toEqual(said(3, 3));
      expect(run(launchers.bwrap(show(6), []), 6, leaked)).toEqual(said(8, 6));
    });

    test("has copies of its output and its input where bwrap reports and waits, and an empty input", () => {
      const launch = launchers.bwrap(["/bin/sh", "-c", "cat; cat <&8; echo said >&7"], []);
      expect(run(launch, 6, [], "read ")).toEqual({ stdout: "read said\n", stderr: "", status: 0 });
    });

    test("joins the cgroups, and starts nothing where it cannot", () => {
      const joined = [join(root, "one"), join(root, "two")];
      for (const path of joined) writeFileSync(path, "");
      for (const [launch, own] of [
        [launchers.command(["/bin/sh", "-c", "echo ran $$"], joined), 3],
        [launchers.bwrap(["/bin/sh", "-c", "echo ran $$"], joined), 6],
      ] as const) {
        const { stdout, stderr, status } = run(launch, own, [10]);
        expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
        const pid = /^ran (\d+)$/m.exec(stdout)?.[1] ?? "";
        // The kernel takes 0 for whoever writes it.
        for (const path of joined) expect(["0", pid]).toContain(readFileSync(path, "utf8").trim());
      }
      const launch = launchers.command(["/bin/sh", "-c", "echo ran"], ["/dev/full"]);
      expect(run(launch, 3, [])).toMatchObject({ stdout: "", status: 125 });
    });

    test("is killed before others when memory runs out, unless it is bwrap", () => {
      const words = ["/bin/cat", "/proc/self/oom_score_adj"];
      expect(run(launchers.command(words, []), 3, []).stdout).toBe("500\n");
      expect(run(launchers.bwrap(words, []), 6, []).stdout).toBe(readFileSync("/proc/self/oom_score_adj", "utf8"));
    });

    test("ends when its parent is killed", async () => {
      const { file, args } = launchers.command(["/bin/sleep", "60"], []);
      const input = openSync("/dev/null", "r");
      const parent = spawn("bash", ["-c", '"$@" 3</dev/null & echo $!; wait', "parent", file, ...args], {
        stdio: [input, "pipe", "ignore"],
      });
      closeSync(input);
      const pid = await new Promise<number>((resolve) => parent.stdout?.once("data", (text) => resolve(Number(text))));
      const isSleep = () => readFileSync(`/proc/${pid}/cmdline`, "utf8").startsWith("/bin/sleep");
      await until(isSleep, { what: "the program runs" });
      parent.kill("SIGKILL");
      await until(() => isProcessDead(pid), { what: "it has ended", timeoutMs: 5_000 });
    });

    test("says so where its program cannot be run", () => {
      const { stdout, stderr, status } = run(launchers.command(["/nowhere/program"], []), 3, []);
      expect({ stdout, isTold: stderr.length > 0 }).toEqual({ stdout: "", isTold: true });
      expect(status).not.toBe(0);
    });
  });

describe.skipIf(KINDS.length === 0)("how programs are started on the host for sandboxes", () => {
  const fileOf = (rootDir: string) =>
    chooseLaunchers(rootDir, processor as NonNullable<typeof processor>, "/usr/bin/setpriv").command([], []).file;

  test("is by programs of our own, which this user alone may run, and which are there again when they were removed", () => {
    const file = fileOf(root);
    expect(file).toStartWith(`${root}/programs/`);
    expect(statSync(file).mode & 0o777).toBe(0o500);
    rmSync(join(root, "programs"), { recursive: true });
    expect(fileOf(root)).toBe(file);
    chmodSync(file, 0o400);
    expect(spawnSync(fileOf(root), ["/bin/true"]).status).toBe(0);
  });

  test("is by the shell where no program can be run from the folder of the sandboxes", () => {
    expect(fileOf("/proc/nowhere")).toBe("/bin/sh");
  });
});
