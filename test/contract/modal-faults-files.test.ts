import { describe, expect } from "bun:test";
import type { ModalLimits } from "../../src/sandboxes/modal/limits.ts";
import type { Sandbox, SandboxProvider } from "../../src/sandboxes/port.ts";
import type { Fault } from "../support/modal-server/faults.ts";
import { modalTest } from "../support/modal-test.ts";
import {
  ALWAYS,
  CANCELLED,
  failsWith,
  INVALID,
  modal,
  provider,
  specOf,
  UNAVAILABLE,
  untilNoneLeft,
} from "./modal-faults-support.ts";
import { sh } from "./sandbox-shell.ts";

describe("faults while reading or writing a file:", () => {
  let sandbox: Sandbox;
  const range = { offset: 0, maxBytes: 100 };
  const begin = async (...faults: Fault[]) => {
    sandbox = await provider().create(specOf());
    await sandbox.writeFile("there", Buffer.from("there"));
    await modal().faults.add(...faults);
  };

  modalTest("an interrupted upload is resumed", async () => {
    await begin({ method: "TaskExecStdinWriteStream", code: UNAVAILABLE, times: 2 });
    const bytes = new Uint8Array(3_000_000).map((_, at) => (at * 7) % 256);
    await sandbox.writeFile("big", bytes);
    expect(Buffer.compare(await sandbox.readFile("big", { offset: 0, maxBytes: 4_000_000 }), bytes)).toBe(0);
  });

  for (const [title, fault] of [
    ["start", { method: "TaskExecStart", hang: true, times: ALWAYS }],
    ["end", { method: "TaskExecWait", hang: true, times: ALWAYS }],
    ["upload", { method: "TaskExecStdinWriteStream", hang: true, times: ALWAYS }],
  ] as const) {
    modalTest(`a ${title} that is never answered is reported as an unreachable sandbox`, async () => {
      await begin();
      const hurried = await provider({ limits: { fileMs: 1200, execMs: 1200 } }).attach(sandbox.id, {});
      await modal().faults.add(fault);
      expect(await failsWith(hurried.writeFile("x", Buffer.from("x")))).toMatchObject({
        code: "sandbox_lost",
        retryable: true,
      });
      if (title !== "upload")
        expect(await failsWith(hurried.readFile("there", range))).toMatchObject({
          code: "sandbox_lost",
          retryable: true,
        });
    });
  }

  modalTest("an outage is not reported as a missing file", async () => {
    await begin({ method: "TaskExecStart", code: CANCELLED, times: ALWAYS });
    expect(await failsWith(sandbox.readFile("there", range))).toMatchObject({ code: "sandbox_lost", retryable: true });
    expect(await failsWith(sandbox.writeFile("there", Buffer.from("x")))).toMatchObject({
      code: "sandbox_lost",
      retryable: true,
    });
  });

  modalTest("a dead sandbox is distinguished from both", async () => {
    await begin();
    await modal().kill(sandbox.id);
    expect(await failsWith(sandbox.readFile("there", range))).toMatchObject({ code: "sandbox_lost", retryable: false });
    expect(await failsWith(sandbox.writeFile("there", Buffer.from("x")))).toMatchObject({
      code: "sandbox_lost",
      retryable: false,
    });
  });
});

describe("faults while taking or removing a snapshot:", () => {
  let made: SandboxProvider;
  let sandbox: Sandbox;
  const begin = (...faults: Fault[]) => beginWithin({}, ...faults);
  const beginWithin = async (limits: Partial<ModalLimits>, ...faults: Fault[]) => {
    made = provider({ limits });
    sandbox = await made.create(specOf());
    await modal().faults.add(...faults);
  };
  const take = async (path: string | null = null) =>
    made.snapshots?.take(sandbox, path) ?? Promise.reject(new Error("no snapshots"));

  modalTest("a passing fault is retried", async () => {
    await begin({ method: "TaskSnapshotFilesystem", code: UNAVAILABLE, times: 2 });
    expect((await take()).id).toMatch(/^im-/);
  });

  for (const [title, fault, retryable] of [
    ["a snapshot that fails", { method: "TaskSnapshotFilesystem", code: INVALID, times: ALWAYS }, false],
    ["a snapshot that takes too long", { method: "TaskSnapshotFilesystem", delayMs: 60_000, times: 1 }, true],
    ["a snapshot that is never answered", { method: "TaskSnapshotFilesystem", hang: true, times: ALWAYS }, true],
  ] as const) {
    modalTest(`${title} is snapshot_failed, and the sandbox stays usable`, async () => {
      await beginWithin({ snapshotMs: 1000 }, fault);
      expect(await failsWith(take())).toMatchObject({ code: "snapshot_failed", retryable });
      await modal().faults.clear();
      expect((await sh(sandbox, "echo alive")).stdout).toBe("alive\n");
    });
  }

  modalTest("a dead sandbox cannot be snapshotted", async () => {
    await begin();
    await modal().kill(sandbox.id);
    expect(await failsWith(take())).toMatchObject({ code: "sandbox_lost" });
  });

  modalTest("an expired snapshot and an invalid id are refused before anything is paid for", async () => {
    await begin();
    const { id } = await take();
    await modal().expireImage(id);
    const before = (await modal().sandboxes()).length;
    expect(await failsWith(made.create(specOf({ snapshotID: id })))).toMatchObject({
      code: "snapshot_expired",
      retryable: false,
    });
    expect(await failsWith(made.create(specOf({ snapshotID: "snap_local" })))).toMatchObject({ code: "not_found" });
    expect((await modal().sandboxes()).length).toBe(before);
  });

  modalTest("a directory snapshot that cannot be restored leaves no sandbox", async () => {
    await begin();
    await sh(sandbox, "mkdir data; echo 1 > data/a");
    const { id } = await take("data");
    await modal().faults.add({ method: "TaskMountDirectory", code: INVALID, times: ALWAYS });
    const failure = await failsWith(made.create(specOf({ snapshotID: id })));
    expect(failure).toMatchObject({ code: "sandbox_create_failed" });
    await sandbox.terminate();
    await untilNoneLeft();
  });

  modalTest("removing is retried or fails with an error, and is a no-op for a removed snapshot", async () => {
    await begin({ method: "ImageDelete", code: UNAVAILABLE, times: 2 });
    const { id } = await take();
    await made.snapshots?.remove(id);
    await made.snapshots?.remove(id);
    await modal().faults.add({ method: "ImageDelete", hang: true, times: 1 });
    const hurried = provider({ limits: { callMs: 1200 } });
    expect(await failsWith(hurried.snapshots?.remove("im-x") ?? Promise.resolve())).toMatchObject({
      code: "snapshot_failed",
      retryable: true,
    });
  });
});
