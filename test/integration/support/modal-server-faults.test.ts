import { afterEach, beforeEach, expect } from "bun:test";
import { connect, type ModalTestClient, modalClient, run } from "../../support/modal-server/client.ts";
import { type ModalServerProcess, startModalServerProcess } from "../../support/modal-server/own-process.ts";
import { Code } from "../../support/modal-server/refusal.ts";
import { modalTest } from "../../support/modal-test.ts";
import { until } from "../../support/wait.ts";

/* What can go wrong, as the real SDK meets it; and what the server refuses to pretend. */

let server: ModalServerProcess;
let runtime: ModalTestClient;
const make = (params: object = {}) =>
  runtime.modal.sandboxes.create(runtime.app, runtime.image, { workdir: "/workspace", ...params });
const times = async (method: string) => (await server.calls()).filter((call) => call.method === method).length;

beforeEach(async () => {
  server = await startModalServerProcess({ routerTokenSecs: 20 });
  runtime = await connect(server);
});
afterEach(() => server.stop());

modalTest("a status is given so many times, and the SDK's retries meet it", async () => {
  await server.faults.add({ method: "SandboxCreateV2", times: 2, code: Code.UNAVAILABLE });
  await (await make()).terminate();
  expect([
    await times("SandboxCreateV2"),
    (await server.sandboxes()).length,
    (await server.faults.left()).length,
  ]).toEqual([3, 1, 0]);
  await server.faults.add({ method: "SandboxCreateV2", code: Code.RESOURCE_EXHAUSTED, message: "no more today" });
  await expect(make()).rejects.toMatchObject({ code: 8, details: "no more today" });
  expect((await server.calls()).filter((call) => call.method === "SandboxCreateV2").map((call) => call.code)).toEqual([
    14, 14, 0, 8,
  ]);
  await server.faults.add({
    method: "SandboxCreateV2",
    times: 9,
    code: Code.UNAVAILABLE,
    only: { tagged: true },
  });
  await (await make()).terminate();
  await expect(make({ tags: { a: "b" } })).rejects.toMatchObject({ code: 14 });
});

modalTest("a throttled call comes back after the time it was told", async () => {
  await server.faults.add({ method: "SandboxCreateV2", times: 2, retryAfterSecs: 0.3 });
  const startedAt = performance.now();
  await (await make()).terminate();
  expect(performance.now() - startedAt).toBeGreaterThan(590);
  expect(await times("SandboxCreateV2")).toBe(3);
});

modalTest(
  "a reply lost after the creation leaves one sandbox: the retry is recognised, giving up leaves it behind",
  async () => {
    await server.faults.add({ method: "SandboxCreateV2", when: "after", code: Code.UNAVAILABLE });
    const sandbox = await make();
    expect((await server.sandboxes()).map((each) => each.id)).toEqual([sandbox.sandboxId]);
    await server.faults.add({ method: "SandboxCreateV2", when: "after", times: 4, code: Code.UNAVAILABLE });
    await expect(make({ name: "lost" })).rejects.toMatchObject({ code: 14 });
    expect((await server.sandboxes({ live: true })).map((each) => each.name)).toEqual([null, "lost"]);
  },
);

modalTest("a creation may hang, or come late", async () => {
  await server.faults.add({ method: "SandboxCreateV2", hang: true }, { method: "SandboxCreate", delayMs: 60_000 });
  const hung = make().then(
    () => "came",
    () => "failed",
  );
  const late = make({ gpu: "T4" });
  await Bun.sleep(150);
  expect(await Promise.race([hung, late.then(() => "late"), "nothing"])).toBe("nothing");
  expect(await server.sandboxes()).toEqual([]);
  await server.faults.clear(); // ends the delay
  await (await late).terminate();
  expect((await server.sandboxes()).length).toBe(1);
});

modalTest("a GPU sandbox waits as long as there is no room, and never runs when ended before", async () => {
  await server.setGpus("H100", 3);
  const first = await make({ gpu: "H100:2" });
  const second = make({ gpu: "H100:2" });
  const third = make({ gpu: "H100:2" }).then(
    () => "ran",
    (error: Error) => error.name,
  );
  await until(async () => (await server.sandboxes()).length === 3, { what: "all are asked for" });
  await Bun.sleep(100);
  expect((await server.sandboxes()).map((each) => each.state)).toEqual(["running", "waiting", "waiting"]);
  const waiting = (await server.sandboxes())[2]?.id as string;
  await (await runtime.modal.sandboxes.fromId(waiting)).terminate();
  expect(await third).toBe("ConflictError");
  await first.terminate();
  await (await second).terminate();
});

modalTest("wrong credentials, missing apps, unknown images, secrets, GPUs and fields are refused", async () => {
  const bad = await modalClient(server, { MODAL_TOKEN_SECRET: "wrong" });
  await expect(bad.apps.fromName("tests")).rejects.toMatchObject({ code: 16 });
  expect(await times("AuthTokenGet")).toBe(2);
  await expect(runtime.modal.apps.fromName("nowhere")).rejects.toMatchObject({ name: "NotFoundError" });
  await expect(runtime.modal.images.fromId("im-none")).rejects.toMatchObject({ name: "NotFoundError" });
  await expect(runtime.modal.secrets.fromName("none")).rejects.toMatchObject({ name: "NotFoundError" });
  await expect(make({ gpu: "X9000" })).rejects.toMatchObject({ code: 3, details: expect.stringContaining("X9000") });
  await expect(make({ gpu: "A10:8" })).rejects.toMatchObject({ code: 3 });
  await expect(make({ i6pn: true })).rejects.toMatchObject({
    code: 3,
    details: expect.stringContaining("i6pnEnabled"),
  });
  await expect(make({ timeoutMs: 25 * 3_600_000 })).rejects.toMatchObject({ code: 3 });
  await expect(runtime.modal.queues.fromName("q", { createIfMissing: true })).rejects.toMatchObject({
    code: Code.UNIMPLEMENTED,
  });
  expect((await server.calls()).at(-1)).toMatchObject({ method: "QueueGetOrCreate", code: Code.UNIMPLEMENTED });
  expect(await server.sandboxes()).toEqual([]);
});

modalTest("the workspace's limit counts the living", async () => {
  await server.setWorkspaceLimit(1);
  const sandbox = await make();
  await expect(make({ gpu: "T4" })).rejects.toMatchObject({ code: 8 });
  await sandbox.terminate();
  await (await make()).terminate();
});

modalTest("a sandbox that dies mid-command ends its streams", async () => {
  const sandbox = await make();
  const child = await sandbox.exec(["sh", "-c", "echo begun; sleep 1005"]);
  const reader = child.stdout.getReader();
  expect((await reader.read()).value).toBe("begun\n");
  await server.kill(sandbox.sandboxId);
  expect([(await reader.read()).done, await child.wait(), await sandbox.wait()]).toEqual([true, 137, 137]);
});

modalTest("output goes on where it was when the router comes back, and when a stream breaks", async () => {
  const sandbox = await make();
  const child = await sandbox.exec(["sh", "-c", "echo one; read _; echo two; read _; echo three"]);
  const reader = child.stdout.getReader();
  expect((await reader.read()).value).toBe("one\n");
  await child.stdin.writeText("\n");
  expect((await reader.read()).value).toBe("two\n");
  const next = reader.read();
  await server.stopRouter();
  await Bun.sleep(100);
  await server.startRouter();
  await child.stdin.writeText("\n");
  expect([(await next).value, await child.wait()]).toEqual(["three\n", 0]);
  await server.faults.add({ method: "TaskExecStdioRead", afterItems: 1, times: 2 });
  const big = await sandbox.exec(["sh", "-c", "head -c 2000000 /dev/zero | tr '\\0' x; echo end"]);
  expect((await big.stdout.readText()).length).toBe(2_000_004);
});

modalTest(
  "characters arrive whole however their bytes are cut, and input whole however its stream breaks",
  async () => {
    const cutting = await startModalServerProcess({ outputChunkBytes: 1 });
    const other = await connect(cutting);
    const sandbox = await other.modal.sandboxes.create(other.app, other.image);
    expect((await run(sandbox, ["printf", "ünï→😀"])).stdout).toBe("ünï→😀");
    await cutting.stop();
    const files = (await make()).filesystem;
    const bytes = new Uint8Array(1_500_000).map((_, at) => at % 253);
    await server.faults.add(
      { method: "TaskExecStdinWriteStream", afterItems: 3 },
      { method: "TaskExecStdinWriteStream", when: "after", code: Code.UNAVAILABLE },
    );
    await files.writeBytes(bytes, "/workspace/b");
    expect(Buffer.from(await files.readBytes("/workspace/b")).equals(Buffer.from(bytes))).toBe(true);
    expect(await times("TaskExecStdinStatus")).toBeGreaterThan(0);
  },
);

modalTest("input whose reply was lost is not taken twice, nor is a command started twice", async () => {
  const sandbox = await make();
  await server.faults.add({ method: "TaskExecStart", when: "after", code: Code.UNAVAILABLE });
  await server.faults.add({ method: "TaskExecStdinWrite", when: "after", code: Code.UNAVAILABLE, times: 2 });
  const child = await sandbox.exec(["sh", "-c", "echo started >> starts; cat; cat starts"]);
  await child.stdin.writeText("once ");
  await child.stdin.writeText("only\n");
  await child.stdin.close();
  expect([await child.stdout.readText(), await child.wait()]).toEqual(["once only\nstarted\n", 0]);
  expect([await times("TaskExecStart"), await times("TaskExecStdinWrite")]).toEqual([2, 5]);
});

modalTest("a revoked router token is refused until a new one is fetched", async () => {
  const sandbox = await make();
  await run(sandbox, ["true"]);
  await server.revokeRouterTokens();
  expect((await run(sandbox, ["echo", "again"])).stdout).toBe("again\n");
  expect(await times("SandboxGetCommandRouterAccess")).toBe(1);
  expect((await server.calls()).some((call) => call.method === "TaskExecStart" && call.code === 16)).toBe(true);
});

modalTest("a snapshot slower than its budget fails for the client, whatever becomes of it", async () => {
  const sandbox = await make();
  await run(sandbox, ["true"]);
  await server.faults.add({ method: "TaskSnapshotFilesystem", when: "after", delayMs: 60_000 });
  await expect(sandbox.snapshotFilesystem({ timeoutMs: 2_000 })).rejects.toMatchObject({ name: "TimeoutError" });
  const taken = async () => (await server.images()).filter((each) => each.kind === "filesystem").length;
  await until(async () => (await taken()) === 1, { what: "the server has taken it", seen: taken });
  await server.faults.add({ method: "TaskSnapshotFilesystem", code: Code.INTERNAL, times: 1 });
  expect((await sandbox.snapshotFilesystem()).imageId).toMatch(/^im-/);
});

modalTest("a fault may do as it likes, a terminate may fail, and the control plane may go and come back", async () => {
  const sandbox = await make();
  await server.faults.add({ method: "SandboxTerminateV2", code: Code.PERMISSION_DENIED });
  await expect(sandbox.terminate()).rejects.toMatchObject({ code: 7 });
  expect(await sandbox.poll()).toBeNull();
  await server.kill(sandbox.sandboxId);
  await expect(sandbox.exec(["true"])).rejects.toMatchObject({ code: 9 });
  await server.stopControl();
  await expect(sandbox.poll()).rejects.toMatchObject({ code: 14 });
  await server.startControl();
  expect(await sandbox.poll()).toBe(137);
});
