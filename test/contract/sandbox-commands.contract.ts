import { beforeAll, expect, test } from "bun:test";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { exited, sh } from "./sandbox-shell.ts";

/** What every provider guarantees about commands; part of the provider contract. */
export function sandboxCommandsContract(subject: () => Sandbox): void {
  let sandbox: Sandbox;
  beforeAll(() => {
    sandbox = subject();
  });

  test("stdout and stderr arrive separately, and a non-zero exit code is a value", async () => {
    expect(await sh(sandbox, "echo out; echo err >&2; exit 7")).toEqual({
      exit: exited(7),
      stdout: "out\n",
      stderr: "err\n",
    });
  });

  test("what a command leaves behind when it is stopped gets time to end, and is killed after that", async () => {
    const left = "(trap '' TERM; echo 1 > deaf; while :; do sleep 0.07; done) & (trap 'sleep 0.3; echo saved > saved; exit' TERM; echo 1 > slow; while :; do sleep 0.07; done) &"; // biome-ignore format: one command
    const child = await sandbox.start({
      argv: ["sh", "-c", `${left} while [ ! -s deaf ] || [ ! -s slow ]; do sleep 0.02; done; echo up; wait; wait`],
    });
    for await (const _ of child.output) await child.signal("SIGTERM");
    await child.exit;
    expect((await sh(sandbox, `kill -s 0 -- -${child.id}; echo $?`)).stdout).toBe("0\n");
    await child.endGroup(1_500);
    const alive = `kill -s 0 -- -${child.id} 2>/dev/null`;
    const after = await sh(
      sandbox,
      `cat saved; for i in 1 2 3 4 5; do ${alive} || break; sleep 0.2; done; ${alive} || echo ended`,
    );
    expect(after.stdout).toBe("saved\nended\n");
    await child.endGroup(0); // nothing is left
  });

  test("arguments reach the program unchanged, without a shell in between", async () => {
    const odd = ["a b", "$HOME", "'\"", "", "*", "new\nline", "ünï", "-n"];
    const child = await sandbox.start({ argv: ["printf", "[%s]", ...odd] });
    let text = "";
    for await (const chunk of child.output) text += Buffer.from(chunk.bytes).toString();
    expect(text).toBe(odd.map((each) => `[${each}]`).join(""));
  });

  test("a program that does not exist exits with 127", async () => {
    const child = await sandbox.start({ argv: ["no-such-program-here"] });
    for await (const _ of child.output);
    expect(await child.exit).toEqual(exited(127));
  });

  test("commands start in the workdir, in a directory below it, or at an absolute path", async () => {
    await sh(sandbox, "mkdir -p sub");
    expect((await sh(sandbox, "pwd")).stdout).toBe(`${sandbox.workdir}\n`);
    expect((await sh(sandbox, "pwd", { workdir: "sub" })).stdout).toBe(`${sandbox.workdir}/sub\n`);
    expect((await sh(sandbox, "pwd", { workdir: "/usr" })).stdout).toBe("/usr\n");
  });

  test("a missing working directory is an error, not an exit code", async () => {
    await expect(sandbox.start({ argv: ["true"], workdir: "no/such" })).rejects.toMatchObject({
      code: "file_not_found",
    });
  });

  test("variables come from the spec and the request, and none from the host", async () => {
    process.env.CONTRACT_CANARY = "of the host";
    const { stdout } = await sh(sandbox, 'printf "%s|%s|%s|%s" "$FROM_SPEC" "$MORE" "$CONTRACT_CANARY" "$HOME"', {
      env: { MORE: "more" },
    });
    delete process.env.CONTRACT_CANARY;
    expect(stdout).toBe(`it's\ntwo lines|more||${sandbox.home}`);
  });

  test("standard input is written and closed", async () => {
    expect((await sh(sandbox, "cat; echo end", { input: "hello " })).stdout).toBe("hello end\n");
    const big = "x".repeat(1_000_000);
    expect((await sh(sandbox, "wc -c", { input: big })).stdout.trim()).toBe("1000000");
  });

  test("a signal reaches the whole process group and shows in the exit", async () => {
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
    await child.signal("SIGTERM"); // no-op: the process has ended
  });

  test("a command may handle a signal, and then its own exit code is reported", async () => {
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
      expect(text).toContain("cleaning"); // some shells also print a message about their `sleep`
      expect(await child.exit).toEqual(exited(9));
    }
  });

  test("a stopped command can be continued, and killed", async () => {
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

  test("SIGKILL ends a command that ignores all other signals", async () => {
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

  test("a command gets a terminal when asked for", async () => {
    const { stdout, exit } = await sh(sandbox, "test -t 0 && test -t 1 && echo terminal; exit 5", { tty: true });
    expect(stdout.trim()).toBe("terminal");
    expect(exit).toEqual(exited(5));
  });
}
