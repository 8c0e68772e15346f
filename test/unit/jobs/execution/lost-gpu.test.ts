import { describe, expect, test } from "bun:test";
import { defaultOptions } from "../../../../src/config/schema.ts";
import { cancelJobs } from "../../../../src/jobs/actions/cancel-jobs.ts";
import { PluginError } from "../../../../src/shared/error-code.ts";
import { inWorld, leaseCount, ORCHESTRATOR, type World } from "../runtime-world.ts";
import { MIN, readNote, sandboxIDOf, write } from "./lost-sandbox-support.ts";

const gpuTask = { description: "d", prompt: "work 20000 done", gpu: "H100" };
const options = { modal: { ...defaultOptions("/state").modal, gpuWaitMinutes: 10 } };

/** Loses the sandbox of a job with a GPU when its provider has none free. */
const withoutGpu = (body: (world: World, id: string, gpus: { free: boolean }) => Promise<void>) =>
  inWorld(
    async (world) => {
      world.machine.keepsLast = true;
      const gpus = { free: true };
      world.machine.onCreate = async () => {
        if (!gpus.free) throw new PluginError("no_capacity", "no H100", { retryable: true });
      };
      const [id = ""] = await world.start(gpuTask);
      await world.reaches(id, "running");
      await write(world, id, "of the last moment");
      gpus.free = false;
      world.machine.lose(sandboxIDOf(world, id));
      await world.clock.until("it was refused", () => world.job(id).gpuWait?.retryAt ?? null);
      await body(world, id, gpus);
    },
    options,
    { providerName: "modal" },
  );

describe("a job that lost its sandbox when no GPU is free", () => {
  test(
    "keeps its slot, asks again and goes on with its files",
    withoutGpu(async (world, id, gpus) => {
      await world.clock.advance(3 * MIN);
      expect(world.job(id)).toMatchObject({ state: { kind: "running" }, sandbox: { kind: "parked" }, attempts: 2 });
      expect(leaseCount(world.runtime)).toBe(1);
      gpus.free = true;
      await world.clock.until("it has another", () => world.job(id).sandbox.kind === "live");
      expect(await readNote(world, id)).toBe("of the last moment");
      expect(await world.reaches(id, "completed")).toMatchObject({ gpuWait: null, turns: 1 });
      expect(world.job(id).notes.join()).toContain("went on by itself");
    }),
  );

  test(
    "fails with no_capacity when its time is over, and keeps and names its snapshot",
    withoutGpu(async (world, id) => {
      await world.clock.until("it fails", () => world.job(id).state.kind === "failed", 30 * MIN);
      const { state, sandbox, loss, notes } = world.job(id);
      const snapshotID = sandbox.kind === "parked" ? sandbox.snapshotID : "";
      expect(world.machine.snapshotIDs()).toEqual([snapshotID]);
      expect(state).toMatchObject({ failure: { code: "no_capacity", message: expect.stringContaining(snapshotID) } });
      expect(Math.floor((state.since - (loss?.at ?? 0)) / MIN)).toBe(10);
      expect(notes.join()).not.toContain("went on");
      expect(leaseCount(world.runtime)).toBe(0);
    }),
  );

  test(
    "can be cancelled while it waits, and its snapshot is kept",
    withoutGpu(async (world, id) => {
      await cancelJobs(world.runtime, ORCHESTRATOR, [id], null);
      expect(world.job(id)).toMatchObject({ state: { kind: "cancelled" }, sandbox: { kind: "parked" } });
      await world.clock.advance(MIN);
      expect(leaseCount(world.runtime)).toBe(0);
      expect(world.machine.snapshotIDs().length).toBe(1);
    }),
  );
});
