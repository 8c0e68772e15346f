import { describe, expect, test } from "bun:test";
import { createFakeProcess } from "../../tools/fake-process.ts";
import { exited } from "../execution/runs-support.ts";
import { inWorld, storedJob, type World } from "../runtime-world.ts";

const modal = { providerName: "modal" } as const;
const task = { description: "trains", command: "train", gpu: "H100:2" };
const agentTask = { description: "works", prompt: "work 3600000 done", gpu: "H100:2" };

/** Has the machine's sandboxes have GPUs whose nvidia-smi gives these answers; null = it hangs. A number is its exit code. */
function withGpus(world: World, answers: () => string | number | null) {
  const asked: number[] = [];
  const commands: ReturnType<typeof createFakeProcess>[] = [];
  world.machine.devices = ["NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3"];
  world.machine.onStart = ({ argv }) => {
    const process = createFakeProcess(`${asked.length}`);
    const line = argv.join(" ");
    if (line.includes("nvidia-smi")) {
      asked.push(world.clock.now());
      const answer = answers();
      if (typeof answer === "string") process.print(answer);
      if (answer !== null) process.end(exited(typeof answer === "number" ? answer : 0));
      else process.signal = async () => process.end({ kind: "signalled", signal: "SIGKILL" });
    } else if (line.includes("train")) commands.push(process);
    else process.end(exited(0));
    return process;
  };
  return { asked, commands };
}

const useOf = (world: World, id: string) => storedJob(world, id).gpuUse;

describe("the GPUs of a job", () => {
  test(
    "of a run are asked soon, then calmly, until its command ends; the numbers are stored",
    inWorld(async (world) => {
      const { asked, commands } = withGpus(world, () => "60, 1000, 81559\n40, 3000, 81559\n");
      const [id = ""] = await world.start(task);
      await world.clock.until("it runs", () => commands.length > 0);
      await world.clock.advance(5 * 60_000);
      expect(asked.length).toBeWithin(14, 20);
      const gaps = asked.slice(5).map((at, index) => at - (asked[index + 4] ?? 0));
      expect(Math.min(...gaps)).toBeGreaterThanOrEqual(20_000);
      commands[0]?.end(exited(0));
      await world.reaches(id, "completed");
      await world.clock.until("its sandbox is parked", () => world.job(id).sandbox.kind !== "live");
      const count = asked.length;
      const use = useOf(world, id);
      expect(use).toMatchObject({ samples: count, failures: 0, isMissing: false, mostMemoryMiB: 4_000 });
      expect(use?.latest).toMatchObject({ utilization: 50, gpus: 2, memoryTotalMiB: 163_118 });
      expect((use?.busySeconds ?? 0) / (use?.measuredSeconds ?? 0)).toBeCloseTo(0.5, 6);
      expect(use?.measuredSeconds).toBeWithin(590, 601);
      expect(use?.heldSeconds).toBeWithin(599, 730);
      await world.clock.advance(10 * 60_000);
      expect(asked.length).toBe(count);
    }, {}, modal),
  ); // biome-ignore format: one case

  test(
    "of an agent are asked while a command runs and once after it, and are known to be idle until the next",
    inWorld(async (world) => {
      let utilization = 80;
      const { asked, commands } = withGpus(world, () => `${utilization}, 1, 2\n${utilization}, 1, 2\n`);
      const [id = ""] = await world.start(agentTask);
      await world.reaches(id, "running");
      await world.clock.advance(60_000);
      expect(asked).toEqual([]);
      const sandbox = world.runtime.lifecycle.live(id);
      await sandbox?.start({ argv: ["train"] });
      await world.clock.advance(60_000);
      expect(asked.length).toBeWithin(4, 7);
      commands[0]?.end(exited(0));
      utilization = 0;
      await world.clock.advance(30_000);
      const count = asked.length;
      await world.clock.advance(20 * 60_000); // its model thinks
      expect(asked.length).toBe(count);
      await sandbox?.start({ argv: ["train"] });
      await world.clock.advance(5_000);
      const use = useOf(world, id);
      expect(use?.heldSeconds).toBeGreaterThan(2 * 22 * 60);
      expect(use?.measuredSeconds).toBeGreaterThan(2 * 20 * 60);
      expect(use?.busySeconds).toBeWithin(2 * 0.8 * 50, 2 * 0.8 * 70);
    }, {}, modal),
  ); // biome-ignore format: one case

  test(
    "are asked once where there is no nvidia-smi, seldom where it fails, and never two times at once where it hangs",
    inWorld(async (world) => {
      let answer: string | number | null = 127;
      const { asked, commands } = withGpus(world, () => answer);
      const [first = ""] = await world.start(task);
      await world.clock.until("it runs", () => commands.length > 0);
      await world.clock.advance(10 * 60_000);
      expect([asked.length, useOf(world, first)?.isMissing, useOf(world, first)?.measuredSeconds]).toEqual([1, true, 0]);
      commands[0]?.end(exited(0));
      for (const what of ["NVIDIA-SMI has failed", "1\n2\n3\n", "9".repeat(100_000), null, 9]) {
        answer = what;
        asked.length = 0;
        const [id = ""] = await world.start(task);
        await world.clock.until("it is asked", () => asked.length > 0);
        await world.clock.advance(10 * 60_000);
        expect([what, asked.length <= 4, useOf(world, id)?.measuredSeconds]).toEqual([what, true, 0]);
        expect(asked.length - (useOf(world, id)?.failures ?? 0)).toBeWithin(0, 2); // one may be under way
        commands.at(-1)?.end(exited(0));
        await world.reaches(id, "completed");
      }
      expect(world.loggedProblems).toEqual([]);
    }, {}, modal),
  ); // biome-ignore format: one case

  test(
    "count as held over a restart, and nothing is asked of sandboxes without GPUs",
    inWorld(async (world) => {
      const { asked, commands } = withGpus(world, () => "50, 1, 2\n50, 1, 2\n");
      const [id = "", plain = ""] = await world.start(task, { description: "plain", command: "train" });
      await world.clock.until("both run", () => commands.length === 2);
      await world.clock.advance(60_000);
      const before = useOf(world, id);
      await world.close(world.runtime);
      await world.clock.advance(10 * 60_000);
      await world.reopen();
      await world.clock.until("it is asked again", () => (useOf(world, id)?.samples ?? 0) > (before?.samples ?? 0));
      const after = useOf(world, id);
      expect((after?.heldSeconds ?? 0) - (before?.heldSeconds ?? 0)).toBeGreaterThan(2 * 600);
      expect((after?.measuredSeconds ?? 0) - (before?.measuredSeconds ?? 0)).toBeLessThan(60);
      expect(useOf(world, plain)).toBeUndefined();
      expect(asked.length).toBeGreaterThan(0);
    }, {}, modal),
  ); // biome-ignore format: one case
});
