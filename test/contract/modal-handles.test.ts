import { describe, expect } from "bun:test";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import type { SandboxSpec } from "../../src/sandboxes/port.ts";
import { modalClient } from "../support/modal-server/client.ts";
import type { Fault } from "../support/modal-server/faults.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import {
  failsWith,
  gpu,
  live,
  modal,
  NOT_FOUND,
  PRECONDITION,
  provider,
  specOf,
  untilNoneLeft,
  withGpu,
} from "./modal-faults-support.ts";
import { MODAL_OPTIONS } from "./modal-support.ts";
import { sh } from "./sandbox-shell.ts";

/** Takes a snapshot with a file in it. */
async function freeze(): Promise<string> {
  const source = await provider().create(specOf());
  await source.writeFile("/workspace/note", new TextEncoder().encode("kept"));
  const taken = await provider().snapshots?.take(source, null);
  await source.terminate();
  return taken?.id ?? "";
}

const deleteImage = async (id: string) => (await modalClient(modal())).images.delete(id);

describe("a snapshot that Modal no longer has", () => {
  const table: [string, Fault, Partial<SandboxSpec>?][] = [
    ["the first command says that its image has expired", { method: "TaskExecStart", code: PRECONDITION, message: "Image im-1 of this sandbox has expired" }],
    ["the first command says that its image was not found", { method: "TaskExecStart", code: NOT_FOUND, message: "Could not find image with ID im-1" }],
    ["a GPU sandbox ends before its first command", { method: "TaskExecStart", code: PRECONDITION, message: "Sandbox failed to start: snapshot expired" }, withGpu(gpu("T4"))],
    ["the creation says that there is no such image", { method: "SandboxCreateV2", code: NOT_FOUND, message: "Could not find image with ID im-1", times: 2 }],
    ["the creation says that the image is gone with another status", { method: "SandboxCreateV2", code: PRECONDITION, message: "Could not find image with ID im-1", times: 2 }],
  ]; // biome-ignore format: a table
  for (const [title, fault, more] of table)
    modalTest(`is told as expired where ${title}`, async () => {
      const snapshotID = await freeze();
      await modal().faults.add(fault);
      expect(await failsWith(provider().create(specOf({ ...more, snapshotID })))).toMatchObject({
        code: "snapshot_expired",
        retryable: false,
        message: expect.stringContaining(snapshotID),
      });
      await untilNoneLeft();
    });

  modalTest(
    "is told as expired where the first command says nothing of it, but the image is gone by then",
    async () => {
      const snapshotID = await freeze();
      const starts = async () => (await modal().calls()).filter(({ method }) => method === "TaskExecStart").length;
      const before = await starts();
      await modal().faults.add({
        method: "TaskExecStart",
        delayMs: 60_000,
        code: PRECONDITION,
        message: "not running",
      });
      const creating = failsWith(provider().create(specOf({ snapshotID })));
      await until(async () => (await starts()) > before, { what: "its first command is asked for" });
      await deleteImage(snapshotID);
      await modal().faults.clear(); // the command is answered
      expect(await creating).toMatchObject({ code: "snapshot_expired" });
      await untilNoneLeft();
    },
  );

  modalTest("is told as expired where it is deleted moments after it was found, for others to start from", async () => {
    const snapshotID = await freeze();
    const on = provider();
    for (const each of await Promise.all([1, 2, 3].map(() => on.create(specOf({ snapshotID })))))
      await each.terminate();
    const asked = (await modal().calls()).filter(
      ({ method, request }) => method === "ImageFromId" && request.imageId === snapshotID,
    );
    expect(asked.length).toBe(1);
    await deleteImage(snapshotID);
    expect(await failsWith(on.create(specOf({ snapshotID })))).toMatchObject({ code: "snapshot_expired" });
    await untilNoneLeft();
  });

  modalTest("is told as expired where a directory's image is gone once it is mounted", async () => {
    const on = provider();
    const source = await on.create(specOf());
    await sh(source, "mkdir a && echo x > a/note");
    const taken = await on.snapshots?.take(source, "a");
    await source.terminate();
    await modal().faults.add({ method: "TaskMountDirectory", code: NOT_FOUND, message: "Could not find image im-1" });
    const failure = await failsWith(on.create(specOf({ snapshotID: taken?.id ?? "" })));
    expect(failure).toMatchObject({ code: "snapshot_expired", retryable: false });
    await untilNoneLeft();
  });

  const others: [string, Fault][] = [
    ["a spent budget", { method: "SandboxCreateV2", code: PRECONDITION, message: "Workspace has reached its spend limit", times: 4 }],
    ["a sandbox that was lost before its first command", { method: "TaskExecStart", code: PRECONDITION, message: "Sandbox sb-1 is not running.", times: 4 }],
  ]; // biome-ignore format: a table
  for (const [title, fault] of others)
    modalTest(`is not what ${title} is taken for`, async () => {
      const snapshotID = await freeze();
      await modal().faults.add(fault);
      const failure = await failsWith(provider().create(specOf({ snapshotID })));
      expect(failure.code).not.toBe("snapshot_expired");
      await modal().faults.clear();
      await untilNoneLeft();
      const made = await provider().create(specOf({ snapshotID }));
      expect((await sh(made, "cat note")).stdout).toBe("kept");
      await made.terminate();
    });
});

describe("a handle that Modal no longer knows is looked up again", () => {
  modalTest("when the app was stopped, for new sandboxes, sandboxes from snapshots, and listings", async () => {
    const one = provider();
    const snapshotID = await freeze();
    await (await one.create(specOf())).terminate();
    await modal().stopApp(MODAL_OPTIONS.app);
    const made = await one.create(specOf());
    expect((await one.list()).map(({ id }) => id)).toEqual([made.id]);
    await modal().stopApp(MODAL_OPTIONS.app);
    const from = await one.create(specOf({ snapshotID }));
    expect((await sh(from, "cat note")).stdout).toBe("kept");
    const gone = { code: NOT_FOUND, message: "App ap-1 not found" };
    await modal().faults.add({ method: "SandboxListV2", ...gone }, { method: "SandboxList", ...gone });
    expect((await one.list()).map(({ id }) => id)).toContain(from.id);
  });

  modalTest("when the image was deleted: it is built again", async () => {
    const one = provider();
    const spec = { machine: { ...DEFAULT_MACHINE, image: { base: null, dockerfile: ["RUN echo built > /built"] } } };
    const first = await one.create(specOf(spec));
    const { imageId } = (await live())[0] ?? { imageId: "" };
    await first.terminate();
    await deleteImage(imageId);
    const again = await one.create(specOf(spec));
    expect((await sh(again, "cat /built")).stdout).toBe("built\n");
    await modal().faults.add({ method: "TaskExecStart", code: NOT_FOUND, message: `Image ${imageId} was deleted` });
    await one.create(specOf(spec)); // seen only at the first command
  });

  modalTest("once: an app that stays unknown is an error", async () => {
    const one = provider();
    await modal().faults.add({ method: "SandboxCreateV2", code: NOT_FOUND, message: "App ap-1 not found", times: 100 });
    const asked = (await modal().calls()).length;
    expect(await failsWith(one.create(specOf()))).toMatchObject({ code: "sandbox_create_failed", retryable: false });
    const calls = (await modal().calls()).slice(asked).filter(({ method }) => method === "SandboxCreateV2");
    expect(calls.length).toBe(2);
  });
});
