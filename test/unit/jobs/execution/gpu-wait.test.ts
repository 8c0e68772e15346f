import { describe, expect, test } from "bun:test";
import { formatGpu } from "../../../../src/config/gpu.ts";
import { defaultOptions } from "../../../../src/config/schema.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { AccountLimitError } from "../../../../src/sandboxes/account-limit.ts";
import type { SandboxSpec } from "../../../../src/sandboxes/port.ts";
import { sleep } from "../../../../src/shared/clock.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { inWorld, ORCHESTRATOR, type World } from "../runtime-world.ts";

const MINUTE = 60_000;

const options = (more: object = {}) => ({ modal: { ...defaultOptions("/state").modal, gpuWaitMinutes: 10 }, ...more });
const withGpu = (gpu: string, prompt = "say 1") => ({ description: prompt, prompt, gpu });

/** A provider that has only these GPUs free; every other one it refuses after the time it is to wait, or at once. */
function offer(world: World, free: Set<string>, refusal: "at once" | "in time" = "at once") {
  const asked: string[] = [];
  world.machine.onCreate = async ({ machine }: SandboxSpec) => {
    if (!machine?.gpu) return;
    const gpu = formatGpu(machine.gpu);
    asked.push(`${gpu} ${(machine.gpuWaitMs ?? 0) / MINUTE} min`);
    if (refusal === "in time") await sleep(world.clock, machine.gpuWaitMs ?? 0);
    if (!free.has(gpu)) throw new PluginError("no_capacity", `no ${gpu}`, { retryable: true });
  };
  return asked;
}

const inModal = (body: (world: World) => Promise<void>, more: object = {}) =>
  inWorld(body, options(more), { providerName: "modal" });
/** Its state when it has failed, within half an hour. */
async function untilFailed(world: World, id: string) {
  await world.clock.until("it fails", () => world.job(id).state.kind === "failed", 30 * MINUTE);
  return world.job(id).state;
}
const cancel = (world: World, id: string) => cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
const placeOf = (world: World, id: string) => world.runtime.scheduler.places([id]).get(id);

describe("a job whose GPUs are all refused", () => {
  test(
    "waits in the queue, holds nothing meanwhile, and takes the first that is free then",
    inModal(async (world) => {
      const free = new Set<string>();
      const asked = offer(world, free);
      const [id = ""] = await world.start(withGpu("H100:8|H200:8"));
      await world.clock.until("both were refused", () => world.job(id).gpuWait?.retryAt ?? null);
      expect(asked).toEqual(["H100:8 5 min", "H200:8 5 min"]);
      expect(world.job(id)).toMatchObject({ state: { kind: "queued" }, sandbox: { kind: "none" }, gpu: null });
      await world.clock.advance(5_000);
      const { leases, queue } = world.runtime.pool.poolState(world.clock.now());
      expect([...leases, ...queue]).toEqual([]);
      expect(placeOf(world, id)?.reason).toBe("its provider has no H100:8 or H200:8 free, 5 s; asks again in 25 s");
      expect(world.runtime.scheduler.counts()).toMatchObject({ running: 0, queued: 1 });
      free.add("H200:8");
      expect((await world.reaches(id, "completed")).gpuWait).toBeNull();
      expect(asked.length).toBe(4);
    }),
  );

  test(
    "fails when its time is over, and not before",
    inModal(async (world) => {
      const asked = offer(world, new Set());
      const since = world.clock.now();
      const [id = ""] = await world.start(withGpu("H100"));
      const state = await untilFailed(world, id);
      expect(state).toMatchObject({ failure: { code: "no_capacity", message: "no H100", retryable: true } });
      expect(Math.floor((state.since - since) / MINUTE)).toBe(10);
      expect(asked.length).toBe(21);
    }),
  );

  test(
    "is asked for once where the provider waits, for its share of the time",
    inModal(async (world) => {
      const asked = offer(world, new Set(), "in time");
      const since = world.clock.now();
      const [id = ""] = await world.start(withGpu("H100|H200"));
      const state = await untilFailed(world, id);
      expect(state).toMatchObject({ failure: { code: "no_capacity" } });
      expect([asked, (state.since - since) / MINUTE]).toEqual([["H100 5 min", "H200 5 min"], 10]);
    }),
  );

  test(
    "keeps its place before jobs that came after it",
    inModal(
      async (world) => {
        const free = new Set<string>();
        offer(world, free);
        const [id = "", long = "", last = ""] = await world.start(withGpu("H100"), "work 60000 fine", "say 3");
        await world.reaches(long, "running");
        expect(world.job(id).state.kind).toBe("queued");
        free.add("H100");
        await world.reaches(last, "completed");
        expect(world.operations("create")).toEqual([id, long, id, last].map((each) => `create ${each}`));
      },
      { maxRunningJobs: 1 },
    ),
  );

  test(
    "does not forget over a restart since when it waits",
    inModal(async (world) => {
      offer(world, new Set());
      const since = world.clock.now();
      const [id = ""] = await world.start(withGpu("H100"));
      await world.clock.advance(4 * MINUTE);
      await world.reopen();
      await world.runtime.sessionJobs(ORCHESTRATOR);
      const state = await untilFailed(world, id);
      expect(Math.floor((state.since - since) / MINUTE)).toBe(10);
    }),
  );

  test(
    "can be cancelled while it waits",
    inModal(async (world) => {
      const asked = offer(world, new Set());
      const [id = ""] = await world.start(withGpu("H100"));
      await world.clock.until("it was refused", () => world.job(id).gpuWait?.retryAt ?? null);
      await cancel(world, id);
      await world.clock.advance(2 * MINUTE);
      expect([world.job(id).state.kind, asked.length, placeOf(world, id)]).toEqual(["cancelled", 1, undefined]);
    }),
  );
});

test(
  "a limit of the account is no missing capacity: the next GPU is not asked for",
  inModal(async (world) => {
    const asked: string[] = [];
    world.machine.onCreate = ({ machine }: SandboxSpec) => {
      asked.push(machine?.gpu ? formatGpu(machine.gpu) : "none");
      throw new AccountLimitError("ten GPUs at once", {});
    };
    const [id = ""] = await world.start(withGpu("H100|H200"));
    expect((await world.reaches(id, "failed")).state).toMatchObject({ failure: { code: "no_capacity" } });
    expect(asked).toEqual(["H100", "H100", "H100"]);
  }),
);
