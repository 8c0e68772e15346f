import { expect, test } from "bun:test";
import { defaultOptions, type Options } from "../../../../../src/config/schema.ts";
import { inWorld, ORCHESTRATOR, type World } from "../../runtime-world.ts";

/* Sandboxes that are kept ready, with a machine and clock of the test's. */

const environments = (warm: number, more: Partial<Options["environments"][string]> = {}): Partial<Options> => {
  const { default: plain } = defaultOptions("/nowhere").environments;
  if (!plain) throw new Error("no default environment");
  return { environments: { default: { ...plain, warm, ...more } } };
};

const ready = (world: World): number => world.runtime.warm.counts(ORCHESTRATOR)[0]?.ready ?? 0;
const warmUp = async (world: World, count: number): Promise<void> => {
  world.runtime.warm.touch(ORCHESTRATOR);
  await world.clock.until(`${count} are ready`, () => ready(world) === count);
};

test(
  "a message makes them ready, and a job has one of them at once",
  inWorld(async (world) => {
    await world.clock.advance(60_000);
    expect(world.operations("create")).toEqual([]);
    await warmUp(world, 2);
    expect(world.machine.sandboxes().map(({ spec }) => Object.keys(spec.tags))).toEqual([
      ["warm", "lab"],
      ["warm", "lab"],
    ]);
    const [id = ""] = await world.start("hang");
    const job = await world.reaches(id, "running");
    const [first] = world.machine.sandboxes();
    expect(job.sandbox).toEqual({ kind: "live", id: first?.id ?? "" });
    expect(first?.spec.tags).toMatchObject({ job: id, session: ORCHESTRATOR });
    // Another takes its place.
    await world.clock.until("two are ready again", () => ready(world) === 2);
    expect(world.operations("create").length).toBe(3);
    await world.clock.advance(10 * 60_000);
    expect(ready(world)).toBe(0);
    expect(world.machine.sandboxes().length).toBe(1);
  }, environments(2)),
);
