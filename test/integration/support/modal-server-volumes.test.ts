import { afterAll, beforeAll, expect } from "bun:test";
import type { Sandbox } from "modal";
import { connect, type ModalTestClient, run } from "../../support/modal-server/client.ts";
import { type ModalServerProcess, startModalServerProcess } from "../../support/modal-server/own-process.ts";
import { modalTest } from "../../support/modal-test.ts";

/* The real SDK against the server's volumes, GPU queue and builds of the realistic profile. */

let server: ModalServerProcess;
let runtime: ModalTestClient;

beforeAll(async () => {
  server = await startModalServerProcess({
    profile: "realistic",
    latencySecondMs: 5,
    volumes: { old: 1, data: 2 },
    gpus: { H100: 8 },
  });
  runtime = await connect(server);
});
afterAll(() => server.stop());

const make = (params: object = {}) =>
  runtime.modal.sandboxes.create(runtime.app, runtime.image, { command: ["sleep", "infinity"], ...params });
const withVolume = async (name: string) => make({ volumes: { "/v": await runtime.modal.volumes.fromName(name) } });
const shell = async (sandbox: Sandbox, script: string) => (await run(sandbox, ["sh", "-c", script])).stdout;
async function end(sandbox: Sandbox) {
  await sandbox.terminate();
  await sandbox.wait();
}

modalTest("what a sandbox has written to a volume others see once it is committed and they have reloaded", async () => {
  const [writer, reader] = [await withVolume("data"), await withVolume("data")];
  await shell(reader, "ls /v");
  await shell(writer, "mkdir /v/a && echo 1 > /v/a/f && echo old > /v/both && ln -s f /v/a/link");
  await reader.reloadVolumes();
  expect(await shell(reader, "ls /v")).toBe("");
  expect((await run(writer, ["sync", "/v"])).code).toBe(0);
  expect(await shell(reader, "ls /v")).toBe("");
  await reader.reloadVolumes();
  expect(await shell(reader, "cat /v/a/link /v/both")).toBe("1\nold\n");
  const third = await withVolume("data");
  expect(await shell(third, "cat /v/a/f")).toBe("1\n");

  await shell(writer, "rm /v/both && echo writer > /v/a/f && echo own > /v/kept");
  await shell(reader, "echo reader > /v/a/f && cd /v/a && sync .");
  await end(writer);
  await reader.reloadVolumes();
  expect(await shell(reader, "cat /v/a/f /v/kept; ls /v")).toBe("writer\nown\na\nkept\n");
  await end(reader);
  await end(third);
});

modalTest("own writes outlive a reload, and `sync` commits nothing to a volume of version 1", async () => {
  const [one, other] = [await withVolume("old"), await withVolume("old")];
  await shell(one, "echo one > /v/f; sync; sync /v");
  await shell(other, "echo other > /v/f; echo mine > /v/g");
  await other.reloadVolumes();
  expect(await shell(other, "cat /v/f /v/g")).toBe("other\nmine\n");
  await end(one);
  await other.reloadVolumes();
  expect(await shell(other, "cat /v/f")).toBe("other\n");
  await end(other);
  const last = await withVolume("old");
  expect(await shell(last, "cat /v/f /v/g")).toBe("other\nmine\n");
  await end(last);
});

modalTest.each([
  ["keeps a file open", "exec 3>/v/f; echo up; read _"],
  ["stands in a folder", "mkdir -p /v/sub && cd /v/sub && echo up; read _"],
])("a volume is not reloaded while a process %s there", async (_, script) => {
  const sandbox = await withVolume("data");
  const holder = await sandbox.exec(["sh", "-c", script]);
  await holder.stdout.getReader().read();
  await expect(sandbox.reloadVolumes()).rejects.toMatchObject({ code: 9, details: expect.stringMatching(/busy.*\/v/) });
  await holder.stdin.close();
  await holder.wait();
  await sandbox.reloadVolumes();
  await end(sandbox);
});

modalTest("a small request for GPUs does not pass a larger one that waits for the same type", async () => {
  const first = await make({ gpu: "H100:4" });
  const served: string[] = [];
  const ask = async (gpu: string) => {
    const made = await make({ gpu });
    served.push(gpu);
    return made;
  };
  const large = ask("H100:8");
  await Bun.sleep(100);
  const small = ask("H100:1");
  await (await make({ gpu: "T4" })).terminate();
  await Bun.sleep(150);
  expect(served).toEqual([]);
  await end(first);
  await end(await large);
  await end(await small);
  expect(served).toEqual(["H100:8", "H100:1"]);
});

modalTest("a build takes time and prints what it does", async () => {
  const image = runtime.image.dockerfileCommands(["RUN echo from the command", "ENV A=1"]);
  const at = Date.now();
  const { imageId } = await image.build(runtime.app);
  expect(Date.now() - at).toBeGreaterThan(20);
  const log: string[] = [];
  for await (const { taskLogs } of runtime.modal.cpClient.imageJoinStreaming({ imageId, timeout: 5, lastEntryId: "", includeLogsForFinished: true }))
    log.push(...taskLogs.map(({ data }) => data)); // biome-ignore format: short
  expect(log.join("")).toMatch(
    /^=> Step 0: FROM base\n=> Step 1: RUN echo.*\nfrom the command\n=> Step 2: ENV A=1\n=> Saving image\n$/,
  );
});
