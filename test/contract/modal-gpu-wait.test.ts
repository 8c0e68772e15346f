import { afterEach, describe, expect } from "bun:test";
import type { CreationStep } from "../../src/sandboxes/creation-steps.ts";
import { modalTest } from "../support/modal-test.ts";
import { until } from "../support/wait.ts";
import {
  ALWAYS,
  failsWith,
  gpu,
  live,
  modal,
  NOT_FOUND,
  provider,
  specOf,
  untilNoneLeft,
  withGpu,
} from "./modal-faults-support.ts";
import { sh } from "./sandbox-shell.ts";

/** A creation must be answered within it; what may take longer takes longer than it. */
const CREATE_MS = 3_000;
const limits = { createMs: CREATE_MS };
const asked = async () => (await modal().calls()).filter(({ method }) => method === "SandboxCreate").length;
const later = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const is = (wanted: string) =>
  until(async () => (await live()).some(({ state }) => state === wanted), {
    what: `a sandbox is ${wanted}`,
    seen: live,
  });

afterEach(async () => {
  for (const type of ["H100", "H200"]) await modal().setGpus(type, null);
});

describe("a sandbox whose GPU is not free", () => {
  modalTest("is asked for once, and waited for longer than a creation may take", async () => {
    await modal().setGpus("H100", 0);
    const before = await asked();
    const steps: CreationStep[] = [];
    const spec = specOf(withGpu(gpu("H100", 8)));
    const creating = provider({ limits }).create(spec, undefined, (step) => steps.push(step));
    await is("waiting");
    await later(CREATE_MS + 500);
    expect((await live()).map(({ state }) => state)).toEqual(["waiting"]);
    await modal().setGpus("H100", 8);
    const made = await creating;
    expect((await sh(made, "echo works")).stdout).toBe("works\n");
    expect((await asked()) - before).toBe(1);
    const [waiting, booting, ...rest] = steps.filter(({ kind }) => kind !== "building");
    expect([waiting, booting?.kind, rest]).toMatchObject([{ kind: "waiting", gpu: "H100:8" }, "booting", []]);
    expect((booting?.since ?? 0) - (waiting?.since ?? 0)).toBeGreaterThan(CREATE_MS);
    expect(made.billedSince).toBeGreaterThanOrEqual(booting?.since ?? Infinity);
    await made.terminate();
  });

  modalTest(
    "ends with no_capacity when the time for this GPU is over, and is ended where no name finds it",
    async () => {
      await modal().setGpus("H100", 0);
      for (const method of ["SandboxGetFromName", "SandboxGetFromNameV2"])
        await modal().faults.add({ method, code: NOT_FOUND, times: ALWAYS });
      const spec = specOf(withGpu(gpu("H100", 8)));
      const failure = await failsWith(
        provider({ limits }).create({ ...spec, ...(spec.machine && { machine: { ...spec.machine, gpuWaitMs: 700 } }) }),
      );
      expect(failure).toMatchObject({ code: "no_capacity", retryable: true });
      expect(failure.message).toMatch(/no H100:8 free within 0\.7 seconds\. The limit is modal\.gpuWaitMinutes/);
      expect(await live()).toEqual([]);
    },
  );

  modalTest("is given up at once when the wait is cancelled, also when its machine comes meanwhile", async () => {
    await modal().setGpus("H100", 0);
    await modal().faults.add({ method: "SandboxTerminate", delayMs: 60_000, times: 1 });
    const stop = new AbortController();
    const creating = failsWith(provider({ limits }).create(specOf(withGpu(gpu("H100"))), stop.signal));
    await is("waiting");
    stop.abort();
    expect(await creating).toMatchObject({ code: "cancelled" });
    expect(await live()).toHaveLength(1); // its end is still on its way
    await modal().setGpus("H100", 1);
    await is("running");
    await modal().faults.clear(); // its end arrives
    await untilNoneLeft();
  });
});

describe("a sandbox that has its GPU", () => {
  modalTest("has a time of its own to boot, whatever the wait has taken", async () => {
    await modal().setGpus("H200", 0);
    await modal().faults.add({ method: "TaskExecStart", delayMs: CREATE_MS + 500, times: 1 });
    const creating = provider({ limits }).create(specOf(withGpu(gpu("H200"))));
    await is("waiting");
    await later(700);
    await modal().setGpus("H200", 1);
    const made = await creating;
    expect((await sh(made, "echo works")).stdout).toBe("works\n");
    await made.terminate();
  });

  modalTest("and does not boot in time is no missing capacity", async () => {
    await modal().faults.add({ method: "TaskExecStart", hang: true, times: ALWAYS });
    const failure = await failsWith(
      provider({ limits: { ...limits, gpuBootMs: 500 } }).create(specOf(withGpu(gpu("T4")))),
    );
    expect(failure).toMatchObject({ code: "sandbox_create_timeout", retryable: true });
    expect(failure.message).toMatch(/first command.*cannot be changed/);
    await modal().faults.clear();
    await untilNoneLeft();
  });
});
