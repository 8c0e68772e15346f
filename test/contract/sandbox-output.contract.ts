import { beforeAll, expect, test } from "bun:test";
import type { Sandbox } from "../../src/sandboxes/port.ts";
import { exited, sh } from "./sandbox-shell.ts";

/** What every provider guarantees about a command's output; part of the provider contract. */
export function sandboxOutputContract(subject: () => Sandbox, ownPipes: boolean): void {
  let sandbox: Sandbox;
  beforeAll(() => {
    sandbox = subject();
  });
  const testByName = test.skipIf(!ownPipes);

  test("output ends with the command, not with a child that outlives it", async () => {
    expect((await sh(sandbox, "sleep 1000 & echo done")).stdout).toBe("done\n");
    // Even if that child keeps writing.
    expect((await sh(sandbox, "yes & echo done; sleep 0.1; exit 3")).exit).toEqual(exited(3));
    const { stdout: left } = await sh(sandbox, "pgrep -c yes; pkill yes; pkill -xf 'sleep 1000'; true");
    if (ownPipes) expect(left).toBe("1\n"); // the child is not killed
  });

  test("all output arrives, even a large amount at a slow reader", async () => {
    const child = await sandbox.start({ argv: ["sh", "-c", "head -c 20000000 /dev/zero; echo >&2 end"] });
    let length = 0;
    let chunks = 0;
    for await (const chunk of child.output) {
      if (chunk.stream === "stdout") length += chunk.bytes.length;
      if (chunks++ % 50 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect(length).toBe(20_000_000);
  });

  test("the complete output is kept in a file when asked for", async () => {
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

  test("a reader that starts long after the command has ended gets all output", async () => {
    const child = await sandbox.start({ argv: ["sh", "-c", "head -c 5000000 /dev/zero; echo >&2 end; exit 4"] });
    await new Promise((resolve) => setTimeout(resolve, 500));
    let length = 0;
    for await (const chunk of child.output) if (chunk.stream === "stdout") length += chunk.bytes.length;
    expect(length).toBe(5_000_000);
    expect(await child.exit).toEqual(exited(4));
  });

  test("output does not fill the heap while the reader pauses", async () => {
    const before = process.memoryUsage.rss();
    const child = await sandbox.start({ argv: ["sh", "-c", "head -c 300000000 /dev/zero; echo finished > finished"] });
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    // Where the other side does not buffer output, the command waits for its reader.
    if (ownPipes)
      await expect(sandbox.readFile("finished", { offset: 0, maxBytes: 1 })).rejects.toMatchObject({
        code: "file_not_found",
      });
    expect(process.memoryUsage.rss() - before).toBeLessThan(100_000_000);
    // Once the reader continues, all output arrives, and still does not fill the heap.
    let length = 0;
    for await (const chunk of child.output) length += chunk.bytes.length;
    expect(length).toBe(300_000_000);
    expect(process.memoryUsage.rss() - before).toBeLessThan(150_000_000);
  });

  test("a reader that leaves early does not stall the command", async () => {
    const child = await sandbox.start({ argv: ["sh", "-c", "head -c 3000000 /dev/zero; exit 6"] });
    for await (const _ of child.output) break;
    expect(await child.exit).toEqual(exited(6));
  });

  testByName("standard output and error can be opened by path, and nothing written before is lost", async () => {
    const { stdout, stderr } = await sh(
      sandbox,
      "echo a; echo b > /dev/stdout; echo c | tee /dev/stdout; echo d > /dev/stderr; echo e >&2; echo f | tee /dev/stderr",
    );
    expect(stdout).toBe("a\nb\nc\nc\nf\n");
    expect(stderr).toBe("d\ne\nf\n");
    const merged = await sandbox.start({
      argv: ["sh", "-c", "exec 2>&1; echo a; echo b > /dev/stderr; echo c"],
      keepLog: true,
    });
    for await (const _ of merged.output);
    expect(Buffer.from(await sandbox.readFile(merged.logPath ?? "", { offset: 0, maxBytes: 100 })).toString()).toBe(
      "a\nb\nc\n",
    );
  });

  testByName("a command that truncates, reads, changes or closes its own output does no harm", async () => {
    const meddle =
      "truncate -s 0 /proc/self/fd/1 2>/dev/null; : > /proc/self/fd/1; exec 4<>/proc/self/fd/1; chmod 000 /proc/self/fd/1 2>/dev/null; (timeout 0.1 cat <&4 >/dev/null); echo said; exec >&- 2>&-; sleep 0.1; exit 3";
    const { exit, stdout } = await sh(sandbox, meddle);
    expect(exit).toEqual(exited(3));
    expect("said\n").toContain(stdout);
    expect((await sh(sandbox, "echo alive")).stdout).toBe("alive\n");
  });

  test("a child that holds one stream only does not keep a logged command open", async () => {
    for (const holds of ["exec 2>&1; sleep 1000 & echo done", "sleep 1000 >/dev/null & echo done"]) {
      const child = await sandbox.start({ argv: ["sh", "-c", `${holds}; exit 3`], keepLog: true });
      let text = "";
      for await (const chunk of child.output) text += Buffer.from(chunk.bytes).toString();
      expect(text).toBe("done\n");
      expect(await child.exit).toEqual(exited(3));
    }
    await sh(sandbox, "pkill -xf 'sleep 1000'; true");
  });

  test("what a script has written through a program that it does not wait for arrives", async () => {
    const script = "exec > >(sleep 0.05; tee log.txt) 2>&1; echo one; echo two >&2; exit 3";
    const child = await sandbox.start({ argv: ["bash", "-c", script], keepLog: true });
    let text = "";
    for await (const chunk of child.output) text += Buffer.from(chunk.bytes).toString();
    expect(text).toBe("one\ntwo\n");
    expect(await child.exit).toEqual(exited(3));
  });

  test("output of a child that outlives its command is kept in the log", async () => {
    const child = await sandbox.start({
      argv: ["sh", "-c", "(while [ ! -e go ]; do sleep 0.01; done; echo later; touch gone) & echo now"],
      keepLog: true,
    });
    let text = "";
    for await (const chunk of child.output) text += Buffer.from(chunk.bytes).toString();
    expect(text).toBe("now\n");
    await sh(sandbox, "touch go; while [ ! -e gone ]; do sleep 0.01; done");
    const log = async () =>
      Buffer.from(await sandbox.readFile(child.logPath ?? "", { offset: 0, maxBytes: 1_000 })).toString();
    // A provider may add a line that the command has ended.
    const complete = /^now\n(.*ended with code 0.*\n)*later\n/;
    for (let attempt = 0; attempt < 100 && !complete.test(await log()); attempt += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    expect(await log()).toMatch(complete);
  });
}
