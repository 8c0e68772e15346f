import { describe, expect } from "bun:test";
import type { Environment } from "../../src/config/environment.ts";
import { DEFAULT_MACHINE } from "../../src/sandboxes/modal/create-params.ts";
import { DEFAULT_IMAGE } from "../../src/sandboxes/modal/image-recipe.ts";
import type { Sandbox, SandboxSpec } from "../../src/sandboxes/port.ts";
import { modalClient } from "../support/modal-server/client.ts";
import { modalTest } from "../support/modal-test.ts";
import { modalProvider, useModalServer } from "./modal-support.ts";
import { sh } from "./sandbox-shell.ts";

/*
 * What an image would run by itself is never run, and the sandbox does not depend on it: it would end with that process, or
 * a job could end it by killing a program of that name.
 */

const server = useModalServer({
  registry: {
    [DEFAULT_IMAGE]: { cmd: ["/bin/sh", "-c", "touch /ran; exit 0"] },
    "tool:ends": { entrypoint: ["/bin/sh", "-c", "touch /ran; exit 3"] },
    "server:keeps-running": { entrypoint: ["/bin/sh", "-c", "touch /ran; exec sleep 1009"], cmd: ["--port", "8000"] },
  },
});

let count = 0;
const create = (image: Environment["image"], more: Partial<SandboxSpec> = {}, gpu: string | null = null) =>
  modalProvider().create({
    name: `main-${count++}`, tags: { suite: "main" }, snapshotID: null, workdir: "/workspace", env: {}, memoryMiB: null, network: "open",
    machine: { ...DEFAULT_MACHINE, image, gpu: gpu === null ? null : { type: gpu, count: 1, exact: false } }, ...more,
  }); // biome-ignore format: one argument

/** Whether the image's own program ran, and whether the sandbox lives on. */
async function look(sandbox: Sandbox): Promise<string> {
  await new Promise((resolve) => setTimeout(resolve, 200));
  const mark = await sh(sandbox, "test -e /ran && echo ran || echo quiet");
  const [listed] = (await server().sandboxes({ live: true })).filter(({ id }) => id === sandbox.id);
  return `${mark.stdout.trim()}, ${listed === undefined ? "ended" : "live"}`;
}

describe("a sandbox runs nothing of its image, which is", () => {
  const table: [string, () => Promise<Environment["image"]>][] = [
    ["the default, with a CMD", async () => null],
    ["a tag whose entrypoint ends", async () => "tool:ends"],
    ["a tag whose entrypoint takes the command for its arguments", async () => "server:keeps-running"],
    ["an id", imageWithEntrypoint],
    ["a recipe on a base with an entrypoint", async () => ({ dockerfile: ["RUN true"], base: "tool:ends" })],
    ["a recipe with an entrypoint of its own", async () => ({ dockerfile: ['ENTRYPOINT ["/bin/sh", "-c", "touch /ran; exit 1"]'], base: null })],
    ["a recipe whose last line goes on", async () => ({ dockerfile: ["ENTRYPOINT touch /ran; exit 1", "RUN true \\"], base: null })],
    ["a recipe without commands", async () => ({ dockerfile: [], base: "tool:ends" })],
    ["a recipe on an id", async () => ({ dockerfile: ["RUN true"], base: await imageWithEntrypoint() })],
  ]; // biome-ignore format: a table
  for (const [title, image] of table) {
    for (const gpu of title.startsWith("a tag") ? [null, "T4"] : [null]) {
      modalTest(`${title}${gpu === null ? "" : ", with a GPU"}`, async () => {
        const sandbox = await create(await image(), {}, gpu);
        expect(await look(sandbox)).toBe("quiet, live");
        await sandbox.terminate();
      });
    }
  }

  modalTest("a snapshot of ours", async () => {
    const provider = modalProvider();
    const first = await create("server:keeps-running");
    const again = modalProvider();
    const found = await again.attach(first.id, {});
    const snapshot = await again.snapshots?.take(found, null);
    await first.terminate();
    const revived = await create(null, { snapshotID: snapshot?.id ?? "" });
    expect(await look(revived)).toBe("quiet, live");
    await revived.terminate();
    await provider.close();
  });
});

modalTest("every creation passes a command that does nothing, and the image's own entrypoint is emptied", async () => {
  const creations = (await server().calls()).filter(({ method }) => method.startsWith("SandboxCreate"));
  expect(creations.length).toBeGreaterThan(8);
  for (const { request } of creations)
    expect((request.definition as { entrypointArgs: string[] }).entrypointArgs).toEqual(["sleep", "infinity"]);
});

async function imageWithEntrypoint(): Promise<string> {
  const client = await modalClient(server());
  const app = await client.apps.fromName("contract", { createIfMissing: true });
  const image = await client.images
    .fromRegistry("debian:bookworm")
    .dockerfileCommands(['ENTRYPOINT ["/bin/sh", "-c", "touch /ran; exit 1"]'])
    .build(app);
  client.close();
  return image.imageId;
}
