import { afterAll, beforeAll, expect } from "bun:test";
import { creations, type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { startSetupIn } from "../support/test-setup.ts";
import { ask, outputsOf, shell, start, status, task, turn, wait } from "../support/turns.ts";

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup({ modal: { gpuWaitMinutes: 0.1 } }, { server: { gpus: { H100: 0 } } });
});

afterAll(async () => {
  await setup?.stop();
});

const on = (gpu: string) => ({ ...task(gpu, shell("nvidia-smi -L | sort | uniq -c"), say("ran")), gpu });

sandboxTest("uses the first GPU of a preference list that has capacity, and says which one", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  const [started, waited] = await turn(server, session.id, start(on("h100:8|H200:8")), wait());
  expect(started?.metadata.jobs.map(({ gpu }) => gpu as string)).toEqual(["H100:8|H200:8"]);
  const [job] = waited?.metadata.finished ?? [];
  expect(job).toMatchObject({ state: "completed", result: "ran", gpu: "H200:8", provider: "modal" });
  expect(await outputsOf(server, job, "sandbox_exec")).toEqual([expect.stringMatching(/^ *8 NVIDIA H200\n/)]);
  expect((await modal.sandboxes()).map(({ gpu }) => gpu)).toEqual(["H100:8", "H200:8"]);
  await noneLeft(modal); // the one that waited for H100 too
  const { output, metadata } = await ask(server, session.id, status());
  expect(metadata.jobs[0]?.gpu).toBe("H200:8");
  expect(output).toContain("H200:8");
});

sandboxTest("goes on to the next GPU of a preference list where the workspace may not use the first", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  for (const [code, message] of [
    [3, "GPU type B200 is not available for your workspace."],
    [7, "Workspace does not have access to B200 GPUs."],
  ] as const) {
    await modal.faults.add({ method: "SandboxCreate", code, message });
    const [, waited] = await turn(server, session.id, start(on("B200|H200")), wait());
    expect(waited?.metadata.finished?.at(-1)).toMatchObject({ state: "completed", gpu: "H200" });
  }
  await noneLeft(modal);
});

sandboxTest(
  "fails a job with no_capacity and the remedy when no GPU is available or the workspace is at its limit, and keeps others running",
  async () => {
    const { modal } = setup;
    await modal.setGpus("H200", 0); // nor H100
    const own = await startSetupIn(setup, { modal: { gpuWaitMinutes: 0.05 } });
    const { server } = own;
    try {
      const session = await server.createSession();
      const tasks = [on("H100"), on("H100|H200"), on("L4")];
      const [, waited] = await turn(server, session.id, start(...tasks), wait());
      const failed = (message: RegExp) => ({
        state: "failed",
        error: { code: "no_capacity", retryable: true, message: expect.stringMatching(message) },
      });
      expect(waited?.metadata.finished).toMatchObject([
        failed(/no H100 free.*modal\.gpuWaitMinutes/s),
        failed(/None of H100, H200 is available/),
        { state: "completed", gpu: "L4" },
      ]);
      await noneLeft(modal);

      await modal.setWorkspaceLimit(0);
      const before = (await creations(modal)).length;
      const [, full] = await turn(server, session.id, start(task("one", say("no"))), wait());
      expect(full?.metadata.finished[3]).toMatchObject(failed(/limit of the Modal workspace.*End other sandboxes/s));
      expect((await creations(modal)).length).toBeGreaterThan(before);
      expect(await modal.sandboxes({ live: true })).toEqual([]);
    } finally {
      await own.stop();
    }
  },
);
