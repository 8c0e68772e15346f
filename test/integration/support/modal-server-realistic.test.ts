import { afterAll, beforeAll, expect } from "bun:test";
import { connect, type ModalTestClient, run } from "../../support/modal-server/client.ts";
import { type ModalServerProcess, startModalServerProcess } from "../../support/modal-server/own-process.ts";
import { modalTest } from "../../support/modal-test.ts";
import { until } from "../../support/wait.ts";

/* The real SDK against the server's realistic profile, with its times a hundred times shorter. */

let server: ModalServerProcess;
let runtime: ModalTestClient;
const KEEP = { command: ["sleep", "infinity"] };
const make = (params: object = {}, image = runtime.image) =>
  runtime.modal.sandboxes.create(runtime.app, image, { ...KEEP, ...params });

beforeAll(async () => {
  server = await startModalServerProcess({
    profile: "realistic",
    latencySecondMs: 10,
    createsBurst: 15,
    gpus: { H100: 2 },
    terminateSecs: [100, 100], // long enough to ask something meanwhile on a busy machine
  });
  runtime = await connect(server);
});
afterAll(() => server.stop());

modalTest("without a command an image runs its own program, whose end is the sandbox's", async () => {
  const python = runtime.modal.images.fromRegistry("python:3.12-bookworm");
  const own = await make({ command: undefined }, python);
  await until(async () => (await run(own, ["pgrep", "python3"])).code === 0, { what: "python runs" });
  await run(own, ["pkill", "python"]).catch(() => {}); // it ends the sandbox it runs in
  expect(await own.wait()).toBe(143);
});

modalTest("a terminated sandbox takes no commands, but holds its name and is live until it has ended", async () => {
  const sandbox = await make({ name: "held" });
  await run(sandbox, ["true"]);
  await sandbox.terminate();
  expect(await sandbox.poll()).toBeNull();
  await expect(sandbox.exec(["true"])).rejects.toMatchObject({ code: 9 });
  await expect(make({ name: "held" })).rejects.toMatchObject({ name: "AlreadyExistsError" });
  expect(await sandbox.wait()).toBe(137);
  await (await make({ name: "held" })).terminate();
});

modalTest(
  "an H100 is an H200 unless H100! was asked for, and more GPUs than there are wait, listed and named",
  async () => {
    const named = (gpu: string, name: string) =>
      make({ gpu, name, experimentalOptions: { enable_exit_snapshot: true } });
    const [first, exact] = await Promise.all([named("H100:2", "first"), named("H100!", "exact")]);
    expect((await run(first, ["nvidia-smi"])).stdout).toBe("NVIDIA H200\nNVIDIA H200\n");
    expect((await run(exact, ["nvidia-smi"])).stdout).toBe("NVIDIA H100 80GB HBM3\n");
    const second = named("H100", "second");
    const waiting = async () =>
      (await server.sandboxes({ live: true })).some(({ state, name }) => state === "waiting" && name === "second");
    await until(waiting, { what: "the second waits" });
    const byName = await runtime.modal.sandboxes.fromName("tests", "second");
    await run(first, ["sh", "-c", "mkdir -p /data && echo kept > /data/f"]);
    // Asked while it runs, when there is none for certain; how soon one is there after the end depends on the machine.
    await expect(first.experimentalGetExitSnapshot({ timeoutMs: 0 })).rejects.toMatchObject({ name: "TimeoutError" });
    await server.preempt(first.sandboxId);
    expect(await first.wait()).toBe(137);
    const again = await make({}, await first.experimentalGetExitSnapshot());
    expect((await run(again, ["cat", "/data/f"])).stdout).toBe("kept\n");
    expect((await second).sandboxId).toBe(byName.sandboxId);
    for (const each of [exact, await second, again]) await each.terminate();
  },
);

modalTest("an expired image shows at the first command only", async () => {
  const sandbox = await make();
  await run(sandbox, ["true"]);
  const frozen = await sandbox.snapshotFilesystem();
  await server.expireImage(frozen.imageId);
  const late = await make({}, await runtime.modal.images.fromId(frozen.imageId));
  await expect(late.exec(["true"])).rejects.toMatchObject({
    code: 9,
    details: expect.stringContaining(frozen.imageId),
  });
  expect(await late.wait()).toBe(1);
  await sandbox.terminate();
});

modalTest(
  "creations beyond the burst and five a second are refused, and so is everything when the money is spent",
  async () => {
    const all = await Promise.allSettled(Array.from({ length: 24 }, () => make({ gpu: "T4" })));
    const refused = all.flatMap((each) => (each.status === "rejected" ? [each.reason] : []));
    expect(refused.length).toBeGreaterThan(8);
    expect(refused[0]).toMatchObject({ code: 8, details: "Sandbox creation rate limit (5/s) exceeded" });
    await Bun.sleep(300);
    await server.setSpendLimitReached(true);
    await expect(make()).rejects.toMatchObject({ code: 9, details: "workspace billing cycle spend limit reached" });
    await server.setSpendLimitReached(false);
  },
);
