import { afterAll, beforeAll, expect } from "bun:test";
import { type ModalSetup, noneLeft, startModalSetup } from "../support/modal-setup.ts";
import { restart } from "../support/opencode.ts";
import { sandboxTest } from "../support/sandboxes.ts";
import { say } from "../support/scripted.ts";
import { ask, shell, start, status, task, turn, wait } from "../support/turns.ts";
import { pause, until } from "../support/wait.ts";

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

sandboxTest("a sandbox with a GPU whose OpenCode is killed before it knows of it is charged to its job", async () => {
  const { modal } = setup;
  // Nobody is told that its machine is there: neither of the first one, nor of the next, so that only the first one counts.
  await modal.faults.add({ method: "SandboxGetTaskId", hang: true, times: 100_000 });
  const session = await setup.server.createSession();
  await turn(setup.server, session.id, start({ ...task("late", shell("true"), say("ran")), gpu: "T4" }));
  const ofFirst = await until(async () => (await modal.sandboxes({ live: true }))[0] ?? null, { what: "it is made" });
  const since = Date.now();
  await pause(2_000);
  setup.server = await restart(setup.server, setup.home, "SIGKILL");
  await ask(setup.server, session.id, status()); // loads the plugin
  const isGone = async () => (await modal.sandboxes({ live: true })).every(({ id }) => id !== ofFirst.id);
  await until(isGone, { what: "what was left is ended" });
  const seconds = (Date.now() - since) / 1_000;
  const usdOf = async () => (await ask(setup.server, session.id, status())).metadata.jobs[0]?.usd.compute ?? 0;
  await until(async () => (await usdOf()) > 0, { what: "it is charged" });
  const usd = await usdOf();
  // Two cores are reserved and four allowed, at a dollar a second each; the T4 is cheap beside them.
  expect(usd).toBeGreaterThan(2 * 2);
  expect(usd).toBeLessThan(4.1 * (seconds + 5));
  await modal.faults.clear();
  await setup.server.client.session.delete({ sessionID: session.id });
  await noneLeft(modal);
});
