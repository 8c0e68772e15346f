import { afterAll, beforeAll, expect } from "bun:test";
import { connect, type ModalTestClient, run } from "../../support/modal-server/client.ts";
import { type ModalServerProcess, startModalServerProcess } from "../../support/modal-server/own-process.ts";
import { modalTest } from "../../support/modal-test.ts";
import { until } from "../../support/wait.ts";

/* Files, snapshots, images, names, tags, lifetimes. A second of the server's timers lasts 100 ms here. */

let server: ModalServerProcess;
let runtime: ModalTestClient;
const make = (params: object = {}) =>
  runtime.modal.sandboxes.create(runtime.app, runtime.image, { workdir: "/workspace", ...params });
const text = async (sandbox: Awaited<ReturnType<typeof make>>, path: string) =>
  (await run(sandbox, ["cat", path])).stdout;

beforeAll(async () => {
  server = await startModalServerProcess({ secondMs: 100, pageSize: 3 });
  runtime = await connect(server);
});
afterAll(() => server.stop());

modalTest("files are written, read, listed, described and removed, and failures have their classes", async () => {
  const sandbox = await make();
  const files = sandbox.filesystem;
  const bytes = new Uint8Array(3_000_000).map((_, at) => at % 251);
  await files.writeBytes(bytes, "/workspace/deep/er/b.bin");
  expect(Buffer.from(await files.readBytes("/workspace/deep/er/b.bin")).equals(Buffer.from(bytes))).toBe(true);
  await files.writeText("short", "/workspace/deep/er/b.bin");
  expect(await text(sandbox, "deep/er/b.bin")).toBe("short");
  await run(sandbox, [
    "sh",
    "-c",
    "cd deep && ln -s er/b.bin link && ln -s /etc/../workspace abs && ln -s / top && mkfifo pipe && chmod 750 er",
  ]);
  expect((await files.listFiles("/workspace/deep")).map(({ name, type }) => `${name} ${type}`)).toEqual([
    "abs symlink",
    "er directory",
    "link symlink",
    "pipe file",
    "top symlink",
  ]);
  expect(await files.stat("/workspace/deep/link")).toMatchObject({ type: "symlink", symlinkTarget: "er/b.bin" });
  expect(await files.stat("/workspace/deep/er")).toMatchObject({ type: "directory", permissions: "rwxr-x---" });
  expect(await files.readText("/workspace/deep/abs/deep/link")).toBe("short");
  // Links lead to the sandbox's root, not to the host's.
  await expect(files.readText(`/workspace/deep/top${import.meta.path}`)).rejects.toMatchObject({
    name: "SandboxFilesystemNotFoundError",
  });
  await files.writeText("x", "/workspace/deep/top/tmp/from-link");
  expect(await text(sandbox, "/tmp/from-link")).toBe("x");
  await run(sandbox, ["sh", "-c", "echo x > locked; chmod 000 locked"]);
  const failures: [() => Promise<unknown>, string][] = [
    [() => files.readText("/workspace/none"), "NotFound"],
    [() => files.readText("/workspace/deep"), "IsADirectory"],
    [() => files.writeText("x", "/workspace/deep"), "IsADirectory"],
    [() => files.writeText("x", "/workspace/deep/link/x"), "NotADirectory"],
    [() => files.readText("/workspace/locked"), "Permission"],
    [() => files.writeText("x", "/usr/x"), "Permission"],
    [() => files.listFiles("/workspace/locked"), "NotADirectory"],
    [() => files.makeDirectory("/workspace/deep", { createParents: false }), "PathAlreadyExists"],
    [() => files.remove("/workspace/deep"), "DirectoryNotEmpty"],
    [() => files.readText("/workspace/deep/pipe"), ""],
  ];
  for (const [attempt, kind] of failures)
    await expect(attempt()).rejects.toMatchObject({ name: `SandboxFilesystem${kind}Error` });
  await files.makeDirectory("/workspace/a/b");
  await files.makeDirectory("/workspace/a/b");
  await files.remove("/workspace/deep", { recursive: true });
  expect((await run(sandbox, ["ls"])).stdout).toBe("a\nlocked\n");
  await sandbox.terminate();
});

modalTest("a snapshot is what was there, forks go their own ways, and it ends when its time is over", async () => {
  const sandbox = await make();
  await expect(sandbox.snapshotFilesystem()).rejects.toMatchObject({ code: 9 }); // Nothing was executed yet.
  await run(sandbox, ["sh", "-c", "echo one > f; mkdir -p /data; echo elsewhere > /data/g; ln -s f l"]);
  const image = await sandbox.snapshotFilesystem({ timeoutMs: 10_000, ttlMs: 1_000_000 });
  await run(sandbox, ["sh", "-c", "echo two > f"]);
  await sandbox.terminate();
  const forks = await Promise.all(
    [{}, { gpu: "T4" }].map((more) =>
      runtime.modal.sandboxes.create(runtime.app, image, { workdir: "/workspace", ...more }),
    ),
  );
  const [first, second] = forks as [(typeof forks)[0], (typeof forks)[0]];
  await run(first, ["sh", "-c", "echo first > f"]);
  expect([await text(first, "l"), await text(second, "l"), await text(second, "/data/g")]).toEqual([
    "first\n",
    "one\n",
    "elsewhere\n",
  ]);
  expect((await server.images()).find((each) => each.id === image.imageId)).toMatchObject({
    kind: "filesystem",
    deleted: false,
  });
  expect((await runtime.modal.images.fromId(image.imageId)).imageId).toBe(image.imageId);
  await server.expireImage(image.imageId);
  await expect(runtime.modal.images.fromId(image.imageId)).rejects.toMatchObject({ name: "NotFoundError" });
  await expect(runtime.modal.sandboxes.create(runtime.app, image)).rejects.toMatchObject({ code: 5 });
  const brief = await first.snapshotFilesystem({ ttlMs: 1000 });
  const gone = () =>
    runtime.modal.images.fromId(brief.imageId).then(
      () => false,
      (error: Error) => error.name === "NotFoundError",
    );
  await until(gone, { what: "the snapshot's time is over" });
  const kept = await first.snapshotFilesystem({ ttlMs: null });
  await runtime.modal.images.delete(kept.imageId);
  await expect(runtime.modal.images.delete(kept.imageId)).rejects.toMatchObject({ name: "NotFoundError" });
  for (const each of forks) await each.terminate();
});

modalTest("a directory is frozen alone, and mounted, not started from", async () => {
  const sandbox = await make();
  await run(sandbox, ["sh", "-c", "mkdir -p d; echo in > d/f; echo out > f"]);
  const image = await sandbox.snapshotDirectory("/workspace/d");
  await expect(sandbox.snapshotDirectory("/workspace/none")).rejects.toMatchObject({ code: 5 });
  const other = await make();
  await run(other, ["sh", "-c", "mkdir -p m; echo beneath > m/b"]);
  await other.mountImage("/workspace/m", image);
  expect((await run(other, ["sh", "-c", "ls m; cat m/f"])).stdout).toBe("f\nin\n");
  await other.unmountImage("/workspace/m");
  expect(await text(other, "m/b")).toBe("beneath\n");
  await expect(other.unmountImage("/workspace/m")).rejects.toMatchObject({ code: 9 });
  await expect(runtime.modal.sandboxes.create(runtime.app, image)).rejects.toMatchObject({ code: 3 });
  for (const each of [sandbox, other]) await each.terminate();
});

modalTest("lifetime and idle time end a sandbox, and a command keeps it from being idle", async () => {
  const [short, idle, busy] = await Promise.all([
    make({ timeoutMs: 3000 }),
    make({ idleTimeoutMs: 2000 }),
    make({ idleTimeoutMs: 2000 }),
  ]);
  const working = await busy.exec(["sleep", "0.6"]);
  expect(await short.wait()).toBe(124);
  expect(await idle.wait()).toBe(137);
  expect([await working.wait(), await busy.poll()]).toEqual([0, null]);
  expect(await busy.wait()).toBe(137);
});

modalTest(
  "names are unique among the living of an app, tags match as a subset, listings come in pages, newest first",
  async () => {
    const one = await make({ name: "same", tags: { a: "1", b: "2" } });
    await expect(make({ name: "same" })).rejects.toMatchObject({ name: "AlreadyExistsError" });
    await expect(make({ name: "same", gpu: "L4" })).rejects.toMatchObject({ name: "AlreadyExistsError" });
    expect((await runtime.modal.sandboxes.fromName("tests", "same")).sandboxId).toBe(one.sandboxId);
    const more = [];
    for (let at = 0; at < 4; at += 1)
      more.push(await make({ tags: { a: "1" }, ...(at === 2 ? { gpu: "T4", name: "v1" } : {}) }));
    const ids = async (params: object) => {
      const found: string[] = [];
      for await (const each of runtime.modal.sandboxes.list({ appId: runtime.app.appId, ...params }))
        found.push(each.sandboxId);
      return found;
    };
    expect(await ids({ tags: { a: "1" } })).toEqual([...more.map((each) => each.sandboxId).reverse(), one.sandboxId]);
    expect(await ids({ tags: { a: "1", b: "2" } })).toEqual([one.sandboxId]);
    expect(await ids({ tags: { a: "3" } })).toEqual([]);
    await one.setTags({ c: "3" });
    expect([await one.getTags(), await ids({ tags: { b: "2" } })]).toEqual([{ c: "3" }, []]);
    const v1 = await connect(server, { MODAL_SANDBOX_V2: "0" });
    const only = [];
    for await (const each of v1.modal.sandboxes.list({ appId: runtime.app.appId })) only.push(each.sandboxId);
    expect(only).toEqual([more[2]?.sandboxId ?? ""]);
    expect((await runtime.modal.sandboxes.fromName("tests", "v1")).sandboxId).toBe(only[0] as string);
    for (const each of [one, ...more]) await each.terminate();
    await expect(runtime.modal.sandboxes.fromName("tests", "same")).rejects.toMatchObject({ name: "NotFoundError" });
    expect((await runtime.modal.sandboxes.fromName("tests", "same", { includeTerminated: true })).sandboxId).toBe(
      one.sandboxId,
    );
    expect(await ids({})).toEqual([]);
    await (await make({ name: "same" })).terminate();
  },
);

modalTest("images are built beside each other, and the end of one build ends no other", async () => {
  const build = (command: string) =>
    runtime.modal.images
      .fromRegistry("debian:bookworm-slim")
      .dockerfileCommands([`RUN ${command}`])
      .build(runtime.app);
  const commands = ["sleep 0.1; exit 3", "sleep 0.6; echo 1", "sleep 0.7; echo 2", "sleep 0.8; echo 3"];
  const built = await Promise.allSettled(commands.map(build));
  expect(built.map(({ status }) => status)).toEqual(["rejected", "fulfilled", "fulfilled", "fulfilled"]);
});

modalTest("images are built once from their instructions, and a failing one says why", async () => {
  const recipe = runtime.image.dockerfileCommands([
    "ENV COLOUR=blue",
    "RUN mkdir -p /opt/app && echo $COLOUR > /opt/app/f",
  ]);
  const sandbox = await runtime.modal.sandboxes.create(runtime.app, recipe);
  expect((await run(sandbox, ["sh", "-c", "cat /opt/app/f; echo $COLOUR"])).stdout).toBe("blue\nblue\n");
  await sandbox.terminate();
  const count = (await server.images()).length;
  await runtime.modal.images
    .fromRegistry("debian:bookworm-slim")
    .dockerfileCommands(["ENV COLOUR=blue", "RUN mkdir -p /opt/app && echo $COLOUR > /opt/app/f"])
    .build(runtime.app);
  expect((await server.images()).length).toBe(count);
  await expect(
    runtime.image.dockerfileCommands(["RUN echo no such luck >&2; exit 3"]).build(runtime.app),
  ).rejects.toThrow(/Image build for im-.*failed[\s\S]*no such luck/);
  await expect(runtime.image.dockerfileCommands(["USER nobody"]).build(runtime.app)).rejects.toMatchObject({ code: 3 });
});

modalTest(
  "a sandbox's own command has its streams, and its end is the sandbox's; so is a snapshot at the end, a probe, a volume",
  async () => {
    const volume = await runtime.modal.volumes.fromName("shared", { createIfMissing: true });
    const params = { experimentalOptions: { enable_exit_snapshot: true }, volumes: { "/vol": volume } };
    for (const gpu of [{}, { gpu: "T4" }]) {
      const sandbox = await make({
        command: ["sh", "-c", "echo begun; echo err >&2; sleep 0.3; echo left > f; echo x >> /vol/f; exit 4"],
        ...params,
        ...gpu,
      });
      expect([await sandbox.stdout.readText(), await sandbox.stderr.readText(), await sandbox.wait()]).toEqual([
        "begun\n",
        "err\n",
        4,
      ]);
      const image = await sandbox.experimentalGetExitSnapshot({ timeoutMs: 5000 });
      const heir = await runtime.modal.sandboxes.create(runtime.app, image, {
        workdir: "/workspace",
        volumes: { "/vol": volume.withMountOptions({ readOnly: true }) },
      });
      expect(await text(heir, "f")).toBe("left\n");
      expect((await run(heir, ["sh", "-c", "echo x > /vol/f"])).code).toBe(2);
      await heir.terminate();
    }
    const { Probe } = await import("modal");
    const probed = await make({ readinessProbe: Probe.withExec(["test", "-e", "/workspace/ready"]) });
    await expect(probed.waitUntilReady(300)).rejects.toThrow();
    await probed.filesystem.writeText("", "/workspace/ready");
    await probed.waitUntilReady(5000);
    await probed.terminate();
  },
);
