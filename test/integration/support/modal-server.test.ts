import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync } from "node:fs";
import { connect, type ModalTestClient, run } from "../../support/modal-server/client.ts";
import { type ModalServerProcess, startModalServerProcess } from "../../support/modal-server/own-process.ts";
import { modalTest } from "../../support/modal-test.ts";
import { until } from "../../support/wait.ts";

/* The real SDK against the server: what works as on Modal. Faults are in modal-server-faults.test.ts. */

let server: ModalServerProcess;
let runtime: ModalTestClient;
const make = (params: object = {}) =>
  runtime.modal.sandboxes.create(runtime.app, runtime.image, { workdir: "/workspace", ...params });

beforeAll(async () => {
  server = await startModalServerProcess({ secrets: { keys: { API_KEY: "k-1" } } });
  runtime = await connect(server);
});
afterAll(async () => {
  const [root] = (await server.sandboxes()).map((each) => each.root);
  await server.stop();
  if (root !== undefined) expect(existsSync(root)).toBe(false); // none where all is skipped
});

modalTest(
  "a sandbox without a GPU is V2 and there at once, one with a GPU is V1 and waits for its machine",
  async () => {
    const plain = await make({ tags: { job: "1" }, timeoutMs: 60_000, idleTimeoutMs: 30_000, name: "plain" });
    const gpu = await make({ gpu: "h100:2" });
    expect(plain.sandboxId).not.toMatch(/^sb-[0-9A-Za-z]{22}$/);
    expect(gpu.sandboxId).toMatch(/^sb-[0-9A-Za-z]{22}$/);
    expect(await server.sandboxes({ live: true })).toMatchObject([
      { id: plain.sandboxId, generation: "v2", state: "running", name: "plain", tags: { job: "1" }, gpu: null },
      { id: gpu.sandboxId, generation: "v1", state: "running", gpu: "H100:2" },
    ]);
    const asked = (await server.calls()).find((call) => call.method === "SandboxCreateV2");
    expect(asked).toMatchObject({
      plane: "control",
      code: 0,
      request: { definition: { timeoutSecs: 60, idleTimeoutSecs: 30, workdir: "/workspace" } },
    });
    expect((await run(gpu, ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"])).stdout).toBe(
      "NVIDIA H100 80GB HBM3\nNVIDIA H100 80GB HBM3\n",
    );
    expect((await run(plain, ["nvidia-smi"])).code).toBe(127);
    expect([await plain.poll(), await gpu.poll()]).toEqual([null, null]);
    expect([await plain.terminate({ wait: true }), await gpu.terminate({ wait: true })]).toEqual([137, 137]);
    expect([await plain.poll(), await gpu.poll()]).toEqual([137, 137]);
  },
);

modalTest("commands have their streams, exit codes, directory, variables and input", async () => {
  process.env.HOST_CANARY = "of the host";
  const sandbox = await make({
    env: { A: "of the sandbox", B: "too" },
    secrets: [await runtime.modal.secrets.fromName("keys")],
  });
  const said = await run(sandbox, ["sh", "-c", 'echo "$A|$B|$API_KEY|$HOST_CANARY|$PWD"; echo err >&2; exit 7'], {
    env: { B: "its own" },
    workdir: "/tmp",
  });
  delete process.env.HOST_CANARY;
  expect(said).toEqual({ stdout: "of the sandbox|its own|k-1||/tmp\n", stderr: "err\n", code: 7 });
  expect((await run(sandbox, ["pwd"])).stdout).toBe("/workspace\n");
  const odd = ["a b", "$HOME", "'\"", "", "*", "new\nline", "ünï"];
  expect((await run(sandbox, ["printf", "[%s]", ...odd])).stdout).toBe(odd.map((each) => `[${each}]`).join(""));
  expect(await run(sandbox, ["no-such-program"])).toMatchObject({
    code: 127,
    stderr: expect.stringContaining("no-such-program"),
  });
  expect((await run(sandbox, ["sh", "-c", "kill -TERM $$"])).code).toBe(143);
  const cat = await sandbox.exec(["sh", "-c", "cat; echo end"]);
  await cat.stdin.writeText("hello ");
  await cat.stdin.writeText("x".repeat(1_000_000));
  await cat.stdin.close();
  expect((await cat.stdout.readText()).length).toBe(6 + 1_000_000 + 4);
  expect(await cat.wait()).toBe(0);
  const closed = await sandbox.exec(["true"]);
  await closed.wait();
  await expect(closed.stdin.writeText("x")).rejects.toMatchObject({ code: 9 });
  await expect(sandbox.exec(["true"], { workdir: "/no/such" })).rejects.toMatchObject({ code: 3 });
  await sandbox.terminate();
});

modalTest("output streams while the command runs, and is what it was, byte by byte, also much of it", async () => {
  const sandbox = await make();
  const slow = await sandbox.exec(["sh", "-c", "echo one; read _; echo two"]);
  const reader = slow.stdout.getReader();
  expect(await reader.read()).toEqual({ done: false, value: "one\n" });
  await slow.stdin.writeText("\n");
  expect(await reader.read()).toEqual({ done: false, value: "two\n" });
  expect(await slow.wait()).toBe(0);
  const big = await sandbox.exec(["sh", "-c", "i=0; while [ $i -lt 60000 ]; do echo line $i; i=$((i+1)); done"], {
    mode: "binary",
  });
  const lines = Buffer.from(await big.stdout.readBytes())
    .toString()
    .split("\n");
  expect([lines.length, lines[0], lines[59_999]]).toEqual([60_001, "line 0", "line 59999"]);
  expect((await run(sandbox, ["sh", "-c", "sleep 1000 & echo done"])).stdout).toBe("done\n");
  await sandbox.terminate();
});

modalTest("a terminal has 24 rows of 80, and a time limit kills the command and not the sandbox", async () => {
  const sandbox = await make();
  expect((await run(sandbox, ["sh", "-c", "test -t 0 && stty size; exit 5"], { pty: true })).code).toBe(5);
  expect((await run(sandbox, ["stty", "size"], { pty: true })).stdout).toBe("24 80\r\n");
  const limited = await sandbox.exec(["sh", "-c", "sleep 1001 & sleep 1002"], { timeoutMs: 1000 });
  expect(await limited.wait()).toBe(137);
  expect((await server.sandboxes({ live: true })).find((each) => each.id === sandbox.sandboxId)).toMatchObject({
    state: "running",
    running: [],
  });
  expect((await run(sandbox, ["pgrep", "-x", "sleep"])).code).toBe(1);
  await sandbox.terminate();
});

modalTest("commands of one sandbox see each other, and nothing of the host can be changed or reached", async () => {
  const [sandbox, other] = [await make(), await make()];
  const group = await sandbox.exec(["sh", "-c", "echo $$; sleep 1003 & wait"]);
  const pid = String((await group.stdout.getReader().read()).value).trim();
  expect((await run(other, ["pgrep", "-fx", "sleep 1003"])).code).toBe(1);
  expect(
    (await run(sandbox, ["sh", "-c", `kill -STOP -${pid} && kill -CONT -${pid} && kill -TERM -${pid}`])).code,
  ).toBe(0);
  expect(await group.wait()).toBe(143);
  for (const attempt of [
    "touch /usr/x",
    "mount -o remount,rw /usr",
    "echo x > /proc/sys/kernel/hostname",
    `cat ${import.meta.path}`,
    "cat /etc/shadow",
  ]) {
    expect((await run(sandbox, ["sh", "-c", attempt])).code).not.toBe(0);
  }
  const port = new URL(server.env.MODAL_SERVER_URL ?? "").port;
  expect((await run(sandbox, ["bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${port}`])).code).toBe(1);
  expect((await run(sandbox, ["sh", "-c", "mkdir -p /data/x && echo kept > /data/x/f && cat /data/x/f"])).stdout).toBe(
    "kept\n",
  );
  expect((await run(other, ["cat", "/data/x/f"])).code).toBe(1);
  // A job that kills everything kills its sandbox.
  await sandbox.exec(["sh", "-c", "kill -9 -1"]);
  expect(await sandbox.wait()).toBe(137);
  await other.terminate();
});

modalTest("an ended sandbox stops its commands, refuses new ones, and its id stays known", async () => {
  const sandbox = await make();
  const running = await sandbox.exec(["sh", "-c", "echo begun; sleep 1004"]);
  const reader = running.stdout.getReader();
  await reader.read();
  const again = await runtime.modal.sandboxes.fromId(sandbox.sandboxId);
  await again.terminate();
  expect([await running.wait(), (await reader.read()).done]).toEqual([137, true]);
  await expect(sandbox.exec(["true"])).rejects.toMatchObject({ name: "ClientError", code: 9 });
  await expect(sandbox.filesystem.readText("/workspace/x")).rejects.toThrow();
  expect(await sandbox.poll()).toBe(137);
  const unknown = await runtime.modal.sandboxes.fromId("sb-01ARZ3NDEKTSV4RRFFQ69G5FAV");
  await expect(unknown.poll()).rejects.toMatchObject({ code: 5 });
  await until(
    async () => !existsSync((await server.sandboxes()).find((each) => each.id === sandbox.sandboxId)?.root ?? "/"),
    {
      what: "the files are gone",
    },
  );
});
