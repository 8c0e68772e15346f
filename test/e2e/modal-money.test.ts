import { afterAll, beforeAll, expect } from "bun:test";
import { type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { ask, shell, start, status, task, turn, wait } from "../support/turns.ts";

let setup: ModalSetup;

beforeAll(async () => {
  setup = await startModalSetup(
    {
      budget: { usdPerSession: null },
      parkAfterSeconds: 0,
      prices: { cpuCore: 3600, memoryGiB: 0 }, // a dollar a second and core
      environments: { default: { workspace: "empty" }, bursts: { workspace: "empty", cpu: 0.125, cpuLimit: 64 } },
    },
    {
      server: {
        billingRates: { gpu_hour_cost_h100: "3.5", gpu_hour_cost_l4: "0" },
        usage: { cores: 2, memoryGiB: 1 },
        devices: { H100: ["NVIDIA H200"], "H100!": ["NVIDIA H200"], A10: [] },
      },
    },
  );
});

afterAll(async () => {
  await setup?.stop();
});

const on = (gpu: string) => ({ ...task(gpu, shell("true"), say("ran")), gpu });

sandboxTest("says which GPUs came, holds H100! to H100, and names what it could not check", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  const [, waited] = await turn(server, session.id, start(on("H100"), on("H100!"), on("H100!|L4"), on("A10")), wait());
  const exact = expect.stringMatching(/H100! was asked for .*came with NVIDIA H200, and was ended.*"H100"/);
  expect(waited?.metadata.finished).toMatchObject([
    { state: "completed", gpu: "H100", devices: ["NVIDIA H200"] },
    { state: "failed", error: { code: "no_capacity", message: exact } },
    { state: "completed", gpu: "L4", devices: ["NVIDIA L4"] },
    { state: "completed", gpu: "A10", notes: [expect.stringMatching(/does not tell which GPUs.*A10/)] },
  ]);
  expect(waited?.output).toContain("asked H100, got NVIDIA H200");
  const [, refused] = waited?.metadata.finished ?? [];
  expect(refused?.usd.compute).toBeGreaterThan(0); // Modal bills the sandbox that was ended too
  await noneLeft(modal);
  const { output, metadata } = await ask(server, session.id, status());
  expect(metadata.jobs[0]).toMatchObject({ devices: ["NVIDIA H200"] });
  expect(output).toMatch(
    /Prices: your account's, read \d{4}-\d\d-\d\d \d\d:\d\d UTC; yours \(option "prices"\) for cpuCore/,
  );
  expect(output).toContain("The account's price of L4 $0 an hour cannot be true");
});

sandboxTest("counts a sandbox at its limits while it runs, and afterwards by its meter", async () => {
  const { server, modal } = setup;
  const session = await server.createSession();
  const bursts = { ...task("bursts", shell("sleep 2"), say("done")), environment: "bursts" };
  await turn(server, session.id, start(bursts), wait());
  await noneLeft(modal);
  const [job] = (await ask(server, session.id, status())).metadata.jobs;
  const perSecond = (job?.usd.compute ?? 0) / (job?.elapsedSeconds ?? 1);
  // Two cores are used, an eighth of one is requested, 64 are allowed. The sandbox lives longer than its job runs.
  expect(perSecond).toBeGreaterThan(1);
  expect(perSecond).toBeLessThan(32);
});
