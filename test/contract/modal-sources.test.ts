import { expect } from "bun:test";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import { modalClient } from "../support/modal-server/client.ts";
import { modalTest } from "../support/modal-test.ts";
import { failsWith, gpu, modal, provider, specOf, withGpu } from "./modal-faults-support.ts";
import { sh } from "./sandbox-shell.ts";

/** A sandbox that the user made without this plugin, in an app of his own. */
async function usersSandbox(more: object = {}) {
  const client = await modalClient(modal());
  const app = await client.apps.fromName("the-users-own", { createIfMissing: true });
  const image = client.images.fromRegistry("python:3.12-bookworm");
  return client.sandboxes.create(app, image, { name: `users-${Date.now()}`, ...more });
}

const nobody = () => false;
const freeze = (id: string, isRefused: (tags: Readonly<Record<string, string>>) => boolean = nobody) =>
  provider().snapshots?.freeze?.(id, isRefused) ?? Promise.reject(new Error("it cannot"));

for (const more of [{}, { gpu: "T4" }])
  modalTest(
    `the files of a running ${"gpu" in more ? "GPU " : ""}sandbox of the user's own are frozen, and it goes on`,
    async () => {
      const theirs = await usersSandbox(more);
      await theirs.exec(["/bin/sh", "-c", "mkdir -p /data && echo theirs > /data/note"]).then((it) => it.wait());
      const taken = await freeze(theirs.sandboxId);
      expect(taken.expiresAt).toBeGreaterThan(Date.now() + 86_400_000);
      expect(await theirs.poll()).toBe(null);
      const made = await provider().create(specOf({ ...withGpu(gpu("T4")), snapshotID: taken.id }));
      expect((await sh(made, "cat /data/note")).stdout).toBe("theirs\n");
      await made.terminate();
      await theirs.terminate();
    },
  );

modalTest("a sandbox that has ended, never was, or is refused by its tags cannot be told apart", async () => {
  const theirs = await usersSandbox({ tags: { job: "job_1" } });
  const refused = await failsWith(freeze(theirs.sandboxId, ({ job }) => job === "job_1"));
  await theirs.terminate();
  const ended = await failsWith(freeze(theirs.sandboxId));
  const unknown = await failsWith(freeze("sb-0000000000000000000000"));
  for (const failure of [refused, ended, unknown])
    expect(failure).toMatchObject({ code: "not_found", retryable: false });
  expect(ended.message).toBe(refused.message);
});

modalTest("an image of the user's own takes the place of the environment's image", async () => {
  const theirs = await usersSandbox();
  await theirs.exec(["/bin/sh", "-c", "echo inside > /made"]).then((it) => it.wait());
  const { imageId } = await theirs.snapshotFilesystem();
  const made = await provider().create(specOf({ machine: { ...DEFAULT_MACHINE, image: imageId } }));
  expect((await sh(made, "cat /made; pwd")).stdout).toBe("inside\n/workspace\n");
  await made.terminate();
  await theirs.terminate();
  const missing = specOf({ machine: { ...DEFAULT_MACHINE, image: "im-0000000000000000000000" } });
  expect(await failsWith(provider().create(missing))).toMatchObject({
    code: "sandbox_create_failed",
    message: expect.stringContaining("im-0000000000000000000000"),
  });
});
