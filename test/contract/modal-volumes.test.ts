import { afterEach, describe, expect } from "bun:test";
import { optionsSchema } from "../../src/config/schema.ts";
import type { Job } from "../../src/core/job.ts";
import { reloadVolumes } from "../../src/jobs/execution/reload-volumes.ts";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { MachineSpec, Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { sh } from "./sandbox-shell.ts";

/* Volumes that need commit and reload, and a queue for GPUs that nobody passes, as jobs' sandboxes meet them. */

const modal = useModalServer({
  profile: "realistic", latencySecondMs: 4, volumes: { old: 1, data: 2 }, gpus: { H100: 8 },
}); // biome-ignore format: short
const open: SandboxProvider[] = [];
let count = 0;

afterEach(async () => {
  for (const each of open.splice(0)) {
    for (const { id } of await each.list()) await each.terminate(id);
    await each.close();
  }
});

function create(machine: Partial<MachineSpec>): Promise<Sandbox> {
  const provider = modalProvider();
  open.push(provider);
  return provider.create({
    name: `volumes-${count++}`, tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
    machine: { ...DEFAULT_MACHINE, ...machine },
  }); // biome-ignore format: a table
}

/** What a job is told before its turn, in which its volumes at `path` are reloaded. */
function beginTurn(sandbox: Sandbox, path: string): Promise<string> {
  const { environments } = optionsSchema.parse({ environments: { default: { volumes: { [path]: "data" } } } });
  const job = { id: "job", task: { environment: "default" } } as Job;
  return reloadVolumes({ environments, log: () => {} }, job, sandbox);
}

const said = async (sandbox: Sandbox, script: string) => (await sh(sandbox, script)).stdout;

describe("what a job writes to a volume", () => {
  modalTest("another sees after `sync`, and only from its next turn on", async () => {
    const [writer, reader] = await Promise.all([0, 1].map(() => create({ volumes: { "/data": "data" } })));
    if (!writer || !reader) throw new Error("both were created");
    expect(writer.notes.join()).toContain("`sync /data` commits what is written");
    await said(writer, "mkdir /data/runs && echo 0.91 > /data/runs/loss");
    expect([await beginTurn(reader, "/data"), await said(reader, "ls /data")]).toEqual(["", ""]);
    expect((await sh(writer, "sync /data")).exit).toEqual({ kind: "exited", code: 0 });
    expect(await said(reader, "ls /data")).toBe("");
    expect([await beginTurn(reader, "/data"), await said(reader, "cat /data/runs/loss")]).toEqual(["", "0.91\n"]);
  });

  modalTest("is committed by the end of its sandbox, whatever the version", async () => {
    const volumes = { "/old": "old", "/data": "data" };
    const [writer, reader] = [await create({ volumes }), await create({ volumes })];
    expect(writer.notes.join()).toContain("committed when the sandbox ends, not by `sync`");
    await said(writer, "echo 1 > /old/end; echo 2 > /data/end; sync /old");
    expect([await beginTurn(reader, "/old"), await said(reader, "ls /old")]).toEqual(["", ""]);
    await writer.terminate();
    const hasEnded = async () => (await modal().sandboxes({ live: true })).length === 1;
    await until(hasEnded, { what: "the writer has ended" });
    expect([await beginTurn(reader, "/old"), await said(reader, "cat /old/end /data/end")]).toEqual(["", "1\n2\n"]);
    expect(await said(await create({ volumes }), "cat /old/end /data/end")).toBe("1\n2\n");
  });
});

describe("a reload of a volume", () => {
  modalTest.each([
    ["keeps a file open", "exec 3>/data/log; echo up; sleep 60"],
    ["stands in a folder", "cd /data; echo up; sleep 60"],
  ])("is refused and explained while a process of the job %s there, and fails nothing", async (_, script) => {
    const sandbox = await create({ volumes: { "/data": "data" } });
    const holder = await sandbox.start({ argv: ["sh", "-c", script] });
    for await (const { bytes } of holder.output) if (Buffer.from(bytes).includes("up")) break;
    const told = await beginTurn(sandbox, "/data");
    expect(told).toMatch(/\(\/data\).*not visible.*keep files open there, or stand in a folder there \(.*volume busy/);
    expect(await said(sandbox, "echo works > /data/own && cat /data/own")).toBe("works\n");
    await holder.signal("SIGKILL");
    await holder.exit;
    expect(await beginTurn(sandbox, "/data")).toBe("");
    expect(await said(sandbox, "cat /data/own")).toBe("works\n");
  });

  modalTest(
    "is not refused because of the sandbox's own main process, where its image starts in the volume",
    async () => {
      const image = { dockerfile: ["WORKDIR /data"], base: null };
      const sandbox = await create({ image, volumes: { "/data": "data" } });
      expect(await beginTurn(sandbox, "/data")).toBe("");
      expect(await said(sandbox, "pwd")).toBe("/workspace\n");
    },
  );
});

modalTest("a sandbox that waits for eight GPUs is served, though others ask for fewer after it", async () => {
  const gpu = (amount: number) => create({ gpu: { type: "H100", count: amount, exact: false } });
  const first = await gpu(4);
  const served: number[] = [];
  const ask = async (amount: number) => {
    const made = await gpu(amount);
    served.push(amount);
    await made.terminate();
  };
  const waiting = (amount: number) => async () =>
    (await modal().sandboxes({ live: true })).filter(({ state }) => state === "waiting").length === amount;
  const asked = [ask(8)];
  await until(waiting(1), { what: "the eight are waited for" });
  asked.push(ask(1), ask(2));
  await until(waiting(3), { what: "all three wait" });
  await first.terminate();
  await Promise.all(asked);
  expect(served[0]).toBe(8);
  expect(served.toSorted()).toEqual([1, 2, 8]);
});
