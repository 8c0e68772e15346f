import { afterAll, expect } from "bun:test";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { exited, sh } from "./sandbox-shell.ts";

/* Each call takes a round trip to Modal and CPU time here, and a campaign runs thousands of commands. */

const modal = useModalServer();
let known: SandboxProvider | null = null;
const provider = (): SandboxProvider => {
  known ??= modalProvider();
  return known;
};
afterAll(() => provider().close());

let count = 0;
const create = (commandFollows: boolean): Promise<Sandbox> =>
  provider().create({
    name: `calls-${count++}`, tags: {}, snapshotID: null, workdir: "/workspace", env: { OWN: "sand\nbox" }, memoryMiB: null,
    network: "open", commandFollows,
  }); // biome-ignore format: one argument

/** The calls about a sandbox that `work` makes. */
async function callsOf(work: () => Promise<void>): Promise<string[]> {
  const before = (await modal().calls()).length;
  await work();
  const calls = (await modal().calls()).slice(before).map(({ method }) => method);
  return calls.filter((method) => /^(SandboxCreate|TaskExec)/.test(method));
}

const SILENT = { noInput: true, oneStream: true };

modalTest("a command without input and with one stream takes two calls, from its start to its exit code", async () => {
  const sandbox = await create(false);
  for (const keepLog of [false, true]) {
    const calls = await callsOf(async () => {
      const ran = await sh(sandbox, "cat; echo out; echo err >&2; exit 3", { ...SILENT, keepLog });
      expect(ran).toEqual({ exit: exited(3), stdout: "out\nerr\n", stderr: "" });
    });
    expect(calls).toEqual(["TaskExecStart", "TaskExecStdioRead"]);
  }
  await sandbox.terminate();
});

modalTest("the command that follows a creation needs no exec of its own; the next one has one", async () => {
  let sandbox: Sandbox | null = null;
  const calls = await callsOf(async () => {
    sandbox = await create(true);
    const ran = await sh(sandbox, "cat; pwd; exit 4", { ...SILENT, keepLog: true });
    expect(ran).toEqual({ exit: exited(4), stdout: "/workspace\n", stderr: "" });
  });
  expect(calls).toEqual(["SandboxCreateV2", "TaskExecStart", "TaskExecStdioRead", "TaskExecStdinWrite"]);
  const made = sandbox as Sandbox | null;
  if (!made) throw new Error("it was not made");
  expect(await callsOf(async () => void (await sh(made, "true", SILENT)))).toContain("TaskExecStart");
  await made.terminate();
});

modalTest("it runs as any other command: with its variables and arguments, both streams, and signals", async () => {
  const request = { noInput: true, env: { UID: "5", IFS: "x", TEXT: "a 'b'\n$HOME" } };
  const look =
    'env | grep -v "^_=" | sort; echo "$TEXT"; printf "%s\\n" "$#" >&2; ls -l /proc/$$/fd/0 | sed "s/.*->//"; exit 7';
  const [first, plain] = [await create(true), await create(false)];
  const ran = await sh(first, look, request);
  expect(ran).toEqual(await sh(plain, look, request));
  expect(ran).toMatchObject({
    exit: exited(7),
    stderr: "0\n",
    stdout: expect.stringContaining("OWN=sand\n") as string,
  });

  const killed = await create(true);
  const process = await killed.start({ argv: ["sh", "-c", "echo up; sleep 600"], noInput: true });
  for await (const { bytes } of process.output)
    if (String(Buffer.from(bytes)).includes("up")) await process.signal("SIGTERM");
  expect(await process.exit).toEqual({ kind: "signalled", signal: "SIGTERM" });

  const lost = await create(true);
  const missing = await lost.start({ argv: ["true"], workdir: "/no/such", noInput: true }).catch((error) => error);
  expect(missing).toMatchObject({ code: "file_not_found" });
  await Promise.all([first, plain, killed, lost].map((sandbox) => sandbox.terminate()));
});

modalTest(
  "what waits for a command is used by the first without input only, and its output is let go with its sandbox",
  async () => {
    const sandbox = await create(true);
    expect((await sh(sandbox, "cat", { input: "in" })).stdout).toBe("in");
    const reads = async () => (await modal().calls()).filter(({ method }) => method === "TaskExecStdioRead");
    const [open] = (await reads()).filter(({ code }) => code === null);
    expect(open).toBeDefined();
    await sandbox.terminate();
    const isOver = async () => (await reads()).every(({ code }) => code !== null);
    await until(isOver, { what: "no output is waited for", seen: reads });
  },
);
