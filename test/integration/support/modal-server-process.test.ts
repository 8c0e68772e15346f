import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Exit, startProcess, type TrackedProcess } from "../../support/child-process.ts";
import { startModalServerProcess } from "../../support/modal-server/own-process.ts";
import { modalTest } from "../../support/modal-test.ts";
import { until, within } from "../../support/wait.ts";

const repository = join(import.meta.dir, "../../..");
const node24 = join(repository, "node_modules/node/bin/node");
const env = { PATH: process.env.PATH ?? "", HOME: "/nonexistent" };

const CLIENT = `
import { ModalClient } from "modal";
const modal = new ModalClient();
const app = await modal.apps.fromName("a", { createIfMissing: true });
const made = await Promise.all([{}, { gpu: "T4" }].map((more) => modal.sandboxes.create(app, modal.images.fromRegistry("debian"), { workdir: "/workspace", ...more })));
const said = [];
for (const sandbox of made) {
  await sandbox.filesystem.writeText("from a file", "/workspace/f");
  const child = await sandbox.exec(["sh", "-c", "cat f; head -c 3000000 /dev/zero; exit 3"], { mode: "binary" });
  said.push((await child.stdout.readBytes()).length, await child.wait());
  const image = await sandbox.snapshotFilesystem();
  const fork = await modal.sandboxes.create(app, image, { workdir: "/workspace" });
  said.push(await fork.filesystem.readText("/workspace/f"));
}
const child = await made[0].exec(["sh", "-c", "echo begun; sleep 1006"]);
await child.stdout.getReader().read();
console.log(process.version.split(".")[0], JSON.stringify(said), process.versions.bun ? "bun" : "node");
process.exit(0);`;

async function serve(): Promise<{ server: TrackedProcess; variables: Record<string, string> }> {
  const server = await startProcess(process.execPath, ["test/support/modal-server/main.ts", '{"tokenId":"ak-own"}'], {
    cwd: repository,
    env,
    stdin: "pipe",
    name: "modal server",
  });
  await until(() => server.stdout().includes("\n"), { what: "the server prints its variables", seen: server.stderr });
  return { server, variables: JSON.parse(server.stdout()) as Record<string, string> };
}

const clientOf = async (
  runtime: string,
  variables: Record<string, string>,
): Promise<Exit & { stdout: string; stderr: string }> => {
  const argv = runtime === process.execPath ? ["-e", CLIENT] : ["--input-type=module", "-e", CLIENT];
  const client = await startProcess(runtime, argv, { cwd: repository, env: { ...env, ...variables }, name: "client" });
  const exit = await within(client.exited, 20_000, "the client ends", client.stderr);
  return { ...exit, stdout: client.stdout(), stderr: client.stderr() };
};

modalTest(
  "in a process of its own it serves clients under Node 24 and Bun, and leaves nothing when told to stop",
  async () => {
    const { server, variables } = await serve();
    try {
      expect(variables.MODAL_TOKEN_ID).toBe("ak-own");
      expect(variables.MODAL_SERVER_URL).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
      const said = '[3000011,3,"from a file",3000011,3,"from a file"]';
      expect(await clientOf(node24, variables)).toMatchObject({ stdout: `v24 ${said} node\n`, stderr: "", code: 0 });
      expect((await clientOf(process.execPath, variables)).stdout).toEndWith(`${said} bun\n`);
      const folder = dirname(variables.MODAL_CONFIG_PATH ?? "");
      expect(existsSync(join(folder, "sandboxes"))).toBe(true);
      server.signal("SIGTERM");
      expect((await within(server.exited, 5000, "the server stops")).code).toBe(0);
      expect(existsSync(folder)).toBe(false);
      expect(await sleepersLeft()).toBe("");
    } finally {
      await server.kill();
    }
  },
);

modalTest("its sandboxes do not outlive it, even when it is killed", async () => {
  const { server, variables } = await serve();
  const client = await clientOf(process.execPath, variables);
  expect(client.code).toBe(0);
  server.signal("SIGKILL"); // to it alone: what it started has to notice
  await server.exited;
  await noSleepersLeft();
  await Bun.$`rm -rf ${dirname(variables.MODAL_CONFIG_PATH ?? "")}`.quiet();
});

modalTest("it ends with its sandboxes when the process that starts them dies, and says why", async () => {
  const { server, variables } = await serve();
  expect((await clientOf(node24, variables)).code).toBe(0);
  await Bun.$`pkill -KILL -P ${server.pid} -f spawner-main`.quiet();
  expect((await within(server.exited, 5000, "the server ends")).code).toBe(1);
  expect(server.stderr()).toContain("The helper that starts the Modal server's processes ended (SIGKILL)");
  await noSleepersLeft();
  await Bun.$`rm -rf ${dirname(variables.MODAL_CONFIG_PATH ?? "")}`.quiet();
});

modalTest("a test whose server has ended is told so by all that it asks, and at its end", async () => {
  const server = await startModalServerProcess();
  await Bun.$`pkill -KILL -P ${process.pid} -f modal-server/main.ts`.quiet();
  await expect(server.sandboxes()).rejects.toThrow("The Modal server has ended (SIGKILL)");
  await expect(server.stop()).rejects.toThrow("The Modal server has ended (SIGKILL)");
  await Bun.$`rm -rf ${dirname(server.env.MODAL_CONFIG_PATH ?? "")}`.quiet();
});

const noSleepersLeft = () =>
  until(async () => (await sleepersLeft()) === "", { what: "the sandboxes' processes are gone", seen: sleepersLeft });

async function sleepersLeft(): Promise<string> {
  return (await Bun.$`pgrep -fx "sleep 1006"`.nothrow().quiet()).stdout.toString();
}
