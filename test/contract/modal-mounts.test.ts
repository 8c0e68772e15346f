import { afterEach, describe, expect } from "bun:test";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { MachineSpec, Sandbox, SandboxProvider, SandboxSpec } from "../../src/sandboxes/port.ts";
import { modalClient } from "../support/modal-server/client.ts";
import { modalTest } from "../support/modal-test.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { sh } from "./sandbox-shell.ts";

/* Volumes and buckets of a machine, with the real SDK: what is mounted, and what the agent is told of it. */

const modal = useModalServer({
  volumes: { old: 1, data: 2 },
  buckets: ["corpus"],
  secrets: { keys: { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "b" } },
});
const open: SandboxProvider[] = [];
let count = 0;

afterEach(async () => {
  for (const each of open.splice(0)) {
    for (const { id } of await each.list()) await each.terminate(id);
    await each.close();
  }
});

function create(machine: Partial<MachineSpec>, more: Partial<SandboxSpec> = {}): Promise<Sandbox> {
  const provider = modalProvider();
  open.push(provider);
  return provider.create({
    name: `mounts-${count++}`, tags: {}, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
    machine: { ...DEFAULT_MACHINE, ...machine }, ...more,
  }); // biome-ignore format: a table
}

const failureOf = async (
  made: Promise<unknown>,
): Promise<{ code?: string; retryable?: boolean | null; message: string }> =>
  made.then(
    () => ({ message: "it was created" }),
    (error) => error,
  );

const lastMounts = async () =>
  (await modal().calls()).findLast(({ method }) => method === "SandboxCreateV2")?.request.definition as never as {
    volumeMounts: object[];
    cloudBucketMounts: object[];
  };

const volume = (name: string, more: object = {}) => ({
  "/data": { name, version: null, readOnly: false, subPath: null, create: false, ...more },
});
const bucket = (name: string, more: object = {}) => ({
  "/mnt/x": { bucket: name, endpointUrl: null, keyPrefix: null, secret: null, readOnly: true, ...more },
});

describe("volumes", () => {
  modalTest("are mounted by name alone, and with options", async () => {
    await create({ volumes: { "/data": "data" } });
    expect((await lastMounts()).volumeMounts).toMatchObject([{ mountPath: "/data", readOnly: false }]);
    const sandbox = await create({ volumes: volume("data", { readOnly: true, subPath: "runs/1" }) });
    expect((await lastMounts()).volumeMounts).toMatchObject([
      { mountPath: "/data", readOnly: true, subPath: "/runs/1" },
    ]);
    expect((await sh(sandbox, "touch /data/x || echo refused")).stdout).toBe("refused\n");
  });

  modalTest("are mounted and reloaded in a sandbox with a GPU too", async () => {
    const sandbox = await create({ volumes: { "/data": "data" }, gpu: { type: "T4", count: 1, exact: false } });
    expect(sandbox.notes.join()).toContain('Modal volume "data" (v2)');
    expect((await sh(sandbox, "touch /data/gpu && ls /data/gpu")).stdout).toBe("/data/gpu\n");
    expect(await sandbox.reloadVolumes?.()).toEqual({ kind: "reloaded" });
  });

  modalTest("are made only where the environment says so, with its version", async () => {
    const names = async (name: string) => {
      const client = await modalClient(modal());
      const found = await client.volumes.fromName(name, { version: 2 }).then(
        () => "v2",
        (error) => (error.name === "InvalidError" ? "v1" : error.name),
      );
      client.close();
      return found;
    };
    expect((await failureOf(create({ volumes: volume("new-1") }))).message).toMatch(
      /The Modal volume "new-1".*\/data.*modal volume create new-1.*"create": true/s,
    );
    expect(await names("new-1")).toBe("NotFoundError");
    await create({ volumes: volume("new-1", { create: true, version: 1 }) });
    await create({ volumes: volume("new-2", { create: true }) });
    await create({ volumes: volume("old", { create: true }) });
    expect([await names("new-1"), await names("new-2"), await names("old")]).toEqual(["v1", "v2", "v1"]);
  });

  modalTest("of another version than the environment says are refused with the remedy", async () => {
    const failure = await failureOf(create({ volumes: volume("old", { version: 2 }) }));
    expect(failure).toMatchObject({ code: "sandbox_create_failed", retryable: false });
    expect(failure.message).toMatch(/The Modal volume "old".*not of version 2.*has version v1.*"version"/s);
  });

  modalTest("are found although the server itself refuses to be asked for another version", async () => {
    await modal().faults.add({ method: "VolumeGetOrCreate", code: 9, message: "version mismatch" });
    const { notes } = await create({ volumes: { "/old": "old" } });
    expect(notes).toEqual([expect.stringMatching(/^At \/old: Modal volume "old", shared.*when the sandbox ends\./)]);
  });

  modalTest("are explained to the agent: where, which version, and how changes are kept", async () => {
    const { notes } = await create({ volumes: { "/old": "old", ...volume("data", { readOnly: true }), "/w": "data" } });
    expect(notes).toEqual([
      expect.stringMatching(/\/old.*"old".*v1.*committed when the sandbox ends.*five/s),
      expect.stringMatching(/\/data.*"data".*v2.*read-only/s),
      expect.stringMatching(/\/w.*"data".*v2.*`sync \/w`/s),
    ]);
  });
});

describe("a reload of the volumes", () => {
  const reload = (sandbox: Sandbox) => (sandbox.reloadVolumes as NonNullable<Sandbox["reloadVolumes"]>)();

  modalTest("asks the sandbox's router", async () => {
    expect(await reload(await create({ volumes: { "/data": "data" } }))).toEqual({ kind: "reloaded" });
    expect((await modal().calls()).at(-1)?.method).toBe("TaskReloadVolumes");
  });

  modalTest.each([
    [9, "there are open files preventing the operation"],
    [10, "volume busy"],
    [9, "words that nobody knows"],
  ])("that is refused (code %i, %s) while the sandbox lives is no loss of it", async (code, message) => {
    const sandbox = await create({ volumes: { "/data": "data" } });
    await modal().faults.add({ method: "TaskReloadVolumes", code, message });
    expect(await reload(sandbox)).toEqual({ kind: "busy", why: message });
    expect((await sh(sandbox, "echo up")).stdout).toBe("up\n");
  });

  modalTest("of a sandbox that has ended is its loss", async () => {
    const sandbox = await create({ volumes: { "/data": "data" } });
    await modal().kill(sandbox.id);
    expect(await failureOf(reload(sandbox))).toMatchObject({ code: "sandbox_lost", retryable: false });
  });
});

describe("buckets", () => {
  modalTest("are mounted read-only, and writable where the environment says so", async () => {
    const { notes } = await create({ buckets: bucket("corpus", { secret: "keys" }) });
    expect((await lastMounts()).cloudBucketMounts).toMatchObject([{ bucketName: "corpus", readOnly: true }]);
    expect(notes).toEqual([expect.stringMatching(/\/mnt\/x.*"corpus".*read-only/s)]);
    const sandbox = await create({ buckets: bucket("corpus", { readOnly: false }) });
    expect(sandbox.notes).toEqual([expect.not.stringContaining("read-only")]);
  });

  modalTest("that cannot be read are named, with their secret and what it must hold", async () => {
    const failure = await failureOf(
      create({
        buckets: { ...bucket("no-such-bucket", { secret: "keys" }), "/mnt/ok": { ...bucket("corpus")["/mnt/x"] } },
      }),
    );
    expect(failure).toMatchObject({ code: "sandbox_create_failed", retryable: false });
    expect(failure.message).toMatch(/The bucket "no-such-bucket".*\/mnt\/x.*AWS_ACCESS_KEY_ID.*"keys"/s);
    expect(failure.message).not.toContain("corpus");
    expect(await modal().sandboxes({ live: true })).toEqual([]);
  });

  modalTest("whose secret does not exist are named with it", async () => {
    const failure = await failureOf(create({ secrets: ["keys"], buckets: bucket("corpus", { secret: "kyes" }) }));
    expect(failure.message).toMatch(/The Modal secret "kyes".*bucket "corpus".*\/mnt\/x.*modal secret create kyes/s);
    expect(failure.message).not.toContain('"keys"');
  });
});
